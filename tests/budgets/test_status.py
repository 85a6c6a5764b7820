"""One sentence for a model: which metrics tell something, which only follow, and how limits of many modules fold."""

from __future__ import annotations

import pytest
from msgspec import structs

from pytest_modelbudget.budgets import Check, Limit, Place, Problem, Scaling, Verdict, parse_limit
from pytest_modelbudget.budgets.growth import parse_growth
from pytest_modelbudget.budgets.status import echoes, findings, status
from pytest_modelbudget.measurement import OperatorCost

HERE = Place("pyproject.toml", 7)
NONE = parse_growth("0%", HERE)


def limit(metric: str, text: object) -> Limit:
    return parse_limit(metric, text, HERE)


def grown(metric: str, before: int, value: int, at_most: object = None) -> Check:
    return Check(metric, value, limit(metric, at_most) if at_most else None, None, before, NONE, before)


def verdict(*checks: Check, parts: tuple[Check, ...] = (), unknown: tuple[OperatorCost, ...] = ()) -> Verdict:
    problems = []
    for check in (*checks, *parts):
        if check.limit and check.value is not None and check.value > check.limit.value:
            problems.append(Problem("over", "error", HERE, check.metric, check.value, check.limit, module=check.module))
        if check.allowed is not None and check.value is not None and check.value > check.allowed:
            problems.append(
                Problem("grown", "error", HERE, check.metric, check.value, before=check.before, module=check.module)
            )
    if unknown:
        problems.append(Problem("unknown_operators", "error", operators=unknown))
    known = any(check.before is not None for check in checks)
    return Verdict("net", True, checks, tuple(problems), parts=parts, baseline="known" if known else "none")


def test_what_is_over_comes_first_and_the_worst_of_it_leads() -> None:
    found = verdict(
        Check("params", 106, limit("params", 100)),  # 6%
        grown("macs", 150, 220, 200),  # 10% over the limit
        grown("flops", 300, 440),  # an echo of the MACs, without a limit
        grown("weight_bytes", 400, 500),  # 25%: not four bytes for each parameter more
    )
    assert status(found).text == "OVER MACs 10.0%, params 6.0%, GREW weight bytes 25.0%"
    assert status(found).level == "error"
    assert status(found).short == "OVER MACs 10.0%"
    assert status(found, excused=True).text == "xfail: over MACs 10.0%, params 6.0%, grew weight bytes 25.0%"


def test_limit_and_baseline_of_one_metric_are_one_row() -> None:
    (found,) = findings(verdict(grown("macs", 100, 150, 120)))
    assert (found.over, found.grown, found.excess) == (True, True, "25.0%")  # 150 of 120
    assert status(verdict(grown("macs", 100, 150, 120))).text == "OVER MACs 25.0%"


def test_growth_alone_is_held_against_the_baseline() -> None:
    assert status(verdict(grown("macs", 100, 150, 200))).text == "GREW MACs 50.0%"


def test_of_zero_there_are_no_percentages() -> None:
    found = verdict(Check("flops", 192, limit("flops", 0)), grown("macs", 0, 96))
    assert status(found).text == "OVER FLOPs 192 of 0 allowed, GREW MACs from 0 to 96"
    assert status(found).short == "OVER FLOPs 192 of 0 allowed"


@pytest.mark.parametrize(
    ("before", "after", "following"),
    [
        ({"params": 10, "weight_bytes": 40}, {"params": 12, "weight_bytes": 48}, {"weight_bytes"}),
        ({"params": 10, "weight_bytes": 20}, {"params": 12, "weight_bytes": 24}, {"weight_bytes"}),
        ({"params": 10, "weight_bytes": 40}, {"params": 12, "weight_bytes": 50}, set()),
        ({"params": 10, "weight_bytes": 40}, {"params": 10, "weight_bytes": 20}, set()),  # half precision
        ({"params": 10, "trainable_params": 10}, {"params": 12, "trainable_params": 12}, {"trainable_params"}),
        ({"params": 10, "trainable_params": 10}, {"params": 12, "trainable_params": 10}, set()),  # frozen
        ({"macs": 5, "flops": 10}, {"macs": 6, "flops": 12}, {"flops"}),
        ({"flops": 10}, {"flops": 12}, set()),
    ],
)
def test_an_echo_follows_exactly(before: dict[str, int], after: dict[str, int], following: set[str]) -> None:
    changed = {metric for metric in after if after[metric] != before[metric]}
    assert {*echoes(before, after)} & changed == following


def test_an_echo_with_a_limit_of_its_own_is_none() -> None:
    checks = (grown("macs", 100, 110), grown("flops", 200, 220, 210))
    assert status(verdict(*checks)).text == "OVER FLOPs 4.8%, GREW MACs 10.0%"


def parts(*values: int, at_most: int = 100) -> tuple[Check, ...]:
    shared = limit("macs", at_most)
    return tuple(Check("macs", value, shared, module=f"layers.{number}") for number, value in enumerate(values))


def test_the_limits_of_one_rule_are_one_finding() -> None:
    (found,) = findings(verdict(parts=parts(*[105] * 126)))
    assert (found.label, len(found.checks), found.differ) == ("layers.* x126 MACs", 126, False)
    assert status(verdict(parts=parts(*[105] * 126))).text == "OVER layers.* x126 MACs 5.0%"
    some = verdict(parts=parts(90, 105, 110, 80))
    assert status(some).text == "OVER layers.* (2 of 4) MACs 10.0%"
    assert findings(some)[0].worst.module == "layers.2"
    assert status(verdict(parts=parts(90, 95))).text == "ok, 5.0% left (layers.* x2 MACs)"


def test_two_rules_for_the_same_modules_are_two() -> None:
    both = (*parts(105), Check("macs", 300, limit("macs", 200), module="head"))
    assert status(verdict(parts=both)).text == "OVER head MACs 50.0%, layers.0 MACs 5.0%"


def test_a_lower_bound_has_nothing_left() -> None:
    ran = (OperatorCost("my_ops::scan", "", 1, 0), OperatorCost("my_ops::sort", "", 1, 0))
    found = verdict(Check("macs", 50, limit("macs", 100)), Check("params", 60, limit("params", 100)), unknown=ran[:1])
    assert status(found).text == "lower bound: my_ops::scan has no formula"
    assert {one.metric: (one.is_lower_bound, one.left) for one in findings(found)} == {
        "macs": (True, ""),
        "params": (False, "40.0% left"),  # a parameter needs no formula
    }
    assert status(verdict(unknown=ran)).text == "lower bound: my_ops::scan + 1 more have no formula"


def test_the_least_that_is_left_is_said_with_its_metric() -> None:
    found = verdict(Check("macs", 9983, limit("macs", 10_000)), Check("params", 50, limit("params", 100)))
    assert status(found).text == "ok, 0.17% left (MACs)"
    assert status(verdict(Check("macs", 10, limit("macs", 10)))).text == "ok, at the limit (MACs)"
    assert status(verdict(Check("macs", 10, None))).text == "no budget"


def test_what_moved_within_what_is_allowed_is_said() -> None:
    checks = (Check("macs", 96, None, None, 100, NONE, 100), Check("params", 50, None, None, 50, NONE, 50))
    assert status(verdict(*checks)).text == "ok, MACs -4.0%"


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("steeper", "error", HERE, "macs", scaling=Scaling("macs", "linear", 1.1, 1.906)),
         "too steep: MACs grow as n^1.91, linear allowed"),
        (Problem("steeper", "error", HERE, "macs", scaling=Scaling("macs", "linear", 1.1)),
         "too steep: MACs follow no power law, linear allowed"),
        (Problem("not_measured", "error", HERE, "training_macs"), "not measured: training MACs"),
        (Problem("no_module", "error", HERE, module="blocks.*"), 'no module matches "blocks.*"'),
        (Problem("new", "error"), "not in the baseline"),
        (Problem("unbudgeted", "error"), "no budget"),
        (Problem("unbudgeted", "warning"), "warn, no budget"),
        (Problem("warned", "warning", HERE, "macs", 301, limit("macs", 300)), "warn, MACs above 300"),
    ],
)  # fmt: skip
def test_every_other_problem_has_a_sentence(problem: Problem, text: str) -> None:
    found = structs.replace(verdict(Check("macs", 301)), problems=(problem,))
    assert (status(found).text, status(found).level) == (text, problem.severity)
