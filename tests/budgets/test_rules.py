"""Which marks are ours, and what they declare."""

from __future__ import annotations

import pytest

from pytest_modelbudget.budgets import BudgetError, Place, rules_of_mark
from pytest_modelbudget.metrics import METRICS, nearest

HERE = Place("test_model.py", 12, "@pytest.mark.budget")


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((180,), {}),
        (("smoke",), {}),
        ((), {"max_usd": 3}),
        ((1, 2), {}),
        ((180,), {"unit": "s"}),
        ((), {"time": "4.1G"}),
        ((), {"memory": "1"}),
        (("5m",), {}),
        (("180s",), {}),
        (({"usd": 1},), {}),
        ((), {}),
    ],
)
def test_where_the_mark_is_shared_those_of_others_are_left_alone(
    args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    assert rules_of_mark("budget", args, kwargs, HERE, shared=True) is None
    if args or kwargs:
        with pytest.raises(BudgetError):
            rules_of_mark("budget", args, kwargs, HERE)


def test_a_mark_declares_limits_and_selects_a_model() -> None:
    mark = rules_of_mark("budget", (), {"macs": "4G", "flops": None, "model": "back*", "name": "b"}, HERE)
    assert mark is not None
    assert {metric: limit and limit.value for metric, limit in mark.limits.items()} == {
        "macs": 4 * 10**9,
        "flops": None,
    }
    assert (mark.model, mark.name) == ("back*", "b")
    assert mark.selects("backbone")
    assert mark.selects("x", "backbone")
    assert not mark.selects("Backbone")


def test_a_bare_mark_is_ours() -> None:
    mark = rules_of_mark("budget", (), {}, HERE)
    assert mark is not None
    assert not mark.limits


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "says"),
    [
        (
            "budget",
            (),
            {"flop": "4G"},
            "flop= at test_model.py:12 @pytest.mark.budget: no such metric. Did you mean flops=?",
        ),
        ("budget", (), {"parameters": 3}, "Did you mean params=?"),
        ("budget", (), {"MACs": "4G"}, "Did you mean macs=?"),
        ("budget", (), {"macs": "4G", "latency": 3}, "The metrics are params, "),
        ("budget", (), {"macs": "4G", "max_usd": 3}, "max_usd= at"),
        ("budget", ("4.1G",), {}, "as in @pytest.mark.budget(macs='4.1G')"),
        ("budget", ("4.1g",), {}, "budget('4.1g') at test_model.py:12 @pytest.mark.budget: a limit of what?"),
        ("budget", ("0.001 GMac",), {}, "a limit of what?"),
        ("budget", ({"params": 1},), {}, "budget({'params': 1}) at"),
        ("budget", (), {"forward_flops": "1K"}, "Did you mean flops=?"),
        ("budget", (), {"model_params": "1K"}, "Did you mean params=?"),
        ("budget", (180,), {"macs": "4G"}, "budget(180) at test_model.py:12 @pytest.mark.budget: a limit of what?"),
        ("modelbudget", (180,), {}, "modelbudget(180) at"),
        ("modelbudget", (), {"max_usd": 3}, "max_usd= at"),
        ("budget", (), {"model": 3}, "model = 3 at"),
        ("budget", (), {"name": ""}, "name = '' at"),
        (
            "budget",
            (),
            {"macs": "4g"},
            "macs = '4g' at test_model.py:12 @pytest.mark.budget: prefixes are case-sensitive",
        ),
    ],
)
@pytest.mark.parametrize("shared", [False, True])
def test_malformed_marks_say_how_to_write_them(
    name: str, args: tuple[object, ...], kwargs: dict[str, object], says: str, shared: bool
) -> None:
    with pytest.raises(BudgetError) as caught:
        rules_of_mark(name, args, kwargs, HERE, shared=shared)
    assert says in str(caught.value)


def test_the_nearest_key() -> None:
    assert nearest("gflops", tuple(METRICS)) == "flops"
    assert nearest("weightbytes", tuple(METRICS)) == "weight_bytes"
    assert nearest("zzz", tuple(METRICS)) is None
