"""Precedence: default < globs in the order of the file < exact name < marks from outer to inner < the call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_modelbudget.budgets import Limit, Place, Rules, Table, budget_for, rules_of_call

HERE = Place("here")
METRICS = ("params", "macs")


def limit(value: int) -> Limit:
    return Limit(value, str(value), HERE)


def macs(value: int | None) -> dict[str, Limit | None]:
    return {"macs": None if value is None else limit(value)}


TABLE = Table(
    default=Rules(macs(1), message="all"),
    models={"net": Rules(macs(4)), "n*": Rules(macs(2), message="globs"), "*t": Rules(macs(3))},
)


def test_the_exact_name_wins_wherever_it_stands() -> None:
    budget = budget_for(TABLE, ("net",))
    assert (budget.limits["macs"].value, budget.message) == (4, "globs")


def test_globs_win_in_the_order_of_the_file() -> None:
    assert budget_for(TABLE, ("nest",)).limits["macs"].value == 3
    assert budget_for(TABLE, ("nose",)).limits["macs"].value == 2
    assert budget_for(TABLE, ("Nest",)).limits["macs"].value == 3  # "n*" is case-sensitive
    assert budget_for(TABLE, ("other",)).limits["macs"].value == 1


def test_a_name_with_the_letters_of_a_glob_is_a_name_too() -> None:
    table = Table(models={"net[v1]": Rules(macs(7))})
    assert budget_for(table, ("net[v1]",)).limits["macs"].value == 7


def test_a_plain_limit_replaces_the_max_and_leaves_the_warning() -> None:
    table = Table(default=Rules(macs(10), {"macs": limit(5)}))
    budget = budget_for(table, ("net",), [Rules(macs(20))])
    assert (budget.limits["macs"].value, budget.warns["macs"].value) == (20, 5)


def test_none_lifts_max_and_warning() -> None:
    table = Table(default=Rules(macs(10), {"macs": limit(5)}))
    lifted = rules_of_call({"macs": None}, HERE, None, ())
    assert not budget_for(table, ("net",), [lifted])


def test_marks_speak_of_the_models_that_they_select() -> None:
    mark = Rules(macs(9), model="before")
    assert budget_for(Table(), ("after", "before"), [mark]).limits["macs"].value == 9
    assert not budget_for(Table(), ("other",), [mark])


values = st.one_of(st.none(), st.integers(0, 99))
limits = st.dictionaries(st.sampled_from(METRICS), values)


@given(limits, st.lists(limits, max_size=3), limits, st.lists(limits, max_size=3))
def test_per_metric_the_last_that_speaks_wins(
    default: dict[str, int | None],
    globs: list[dict[str, int | None]],
    exact: dict[str, int | None],
    marks: list[dict[str, int | None]],
) -> None:
    def made(values: dict[str, int | None]) -> dict[str, Limit | None]:
        return {metric: None if value is None else limit(value) for metric, value in values.items()}

    patterns = ["n*", "ne*", "*t"]
    models = {"net": Rules(made(exact)), **{name: Rules(made(one)) for name, one in zip(patterns, globs, strict=False)}}
    table = Table(default=Rules(made(default)), models=models)
    budget = budget_for(table, ("net",), [Rules(made(one)) for one in marks])
    for metric in METRICS:
        said = [one[metric] for one in (default, *globs, exact, *marks) if metric in one]
        expected = said[-1] if said else None
        assert (budget.limits[metric].value if metric in budget.limits else None) == expected
