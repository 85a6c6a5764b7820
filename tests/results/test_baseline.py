"""The lock file: the same bytes for the same counts, and nothing lost between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from torch import nn

from pytest_modelbudget import Measurement, measure
from pytest_modelbudget.folding import FoldedModule, OwnCosts
from pytest_modelbudget.measurement import ModuleCost
from pytest_modelbudget.results.baseline import Lock, LockError, pruned, read_lock, updated, write_lock
from pytest_modelbudget.results.lock_lines import Convention, from_lines, to_lines


def model(*widths: int, name: str = "net", rows: int | None = 1, backward: bool = False) -> Measurement:
    def build() -> nn.Module:
        return nn.Sequential(*[nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 8)) for width in widths])

    size = None if rows is None else (rows, 8)
    return measure(build, input_size=size, name=name, backward=backward)


def kept(measurement: Measurement) -> Measurement:
    lock = read_lock(write_lock(updated(Lock(), [measurement])), "lock", 2)
    found = lock.find(measurement)
    assert found is not None
    return found.measurement(measurement.name, 2)


@pytest.mark.parametrize(
    "measured",
    [model(4, 4, 4), model(4, 5, 4, 5), model(4, rows=None), model(4, 4, backward=True), model()],
    ids=["equal", "alternating", "weights", "training", "empty"],
)
def test_nothing_is_lost(measured: Measurement) -> None:
    modules = without_outputs(measured.modules)
    assert kept(measured) == structs.replace(measured, inputs=(), run=None, operators=(), modules=modules)


def without_outputs(module: ModuleCost) -> ModuleCost:
    return structs.replace(module, outputs=(), children=tuple(map(without_outputs, module.children)))


def test_models_and_inputs_are_sorted() -> None:
    several = [model(4, name=name, rows=rows) for name in ("b", "a") for rows in (2, 1)]
    text = write_lock(updated(Lock(), several))
    assert text == write_lock(updated(Lock(), reversed(several)))
    assert text.index('"a": [') < text.index('"b": [')
    assert text.index("1x8") < text.index("2x8")


def test_equal_layers_are_one_line() -> None:
    lines = write_lock(updated(Lock(), [model(*[4] * 80)])).splitlines()
    assert sum('"name": "{0-79}' in line for line in lines) == 4  # the block, its two layers, and what is between


def test_a_ratchet_takes_only_what_is_less() -> None:
    lock = updated(Lock(), [model(4, 4, name="less"), model(4, name="more")])
    after = updated(lock, [model(4, 3, name="less"), model(5, name="more"), model(4, name="new")], lower=True)
    assert {name: found[0].metrics["params"] for name, found in after.models.items()} == {
        "less": (8 * 4 + 4 + 4 * 8 + 8) + (8 * 3 + 3 + 3 * 8 + 8),
        "more": 8 * 4 + 4 + 4 * 8 + 8,
    }


def test_pruning_keeps_what_was_measured() -> None:
    lock = updated(Lock(), [model(4, name="a"), model(4, name="a", rows=2), model(4, name="b")])
    assert pruned(lock, [model(4, name="a", rows=2)]).identities() == [("a", ("args[0] 2x8 float32",))]


keys = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="."), min_size=1, max_size=6)
trees = st.recursive(
    st.just(()),
    lambda inner: st.lists(st.tuples(st.lists(keys, min_size=1, max_size=4, unique=True), inner), max_size=3).map(
        tuple
    ),
    max_leaves=12,
)


def folded(tree: tuple[tuple[list[str], object], ...], names: tuple[str, ...] = ("",)) -> FoldedModule:
    children, taken = [], set[str]()
    for names_below, below in tree:
        free = tuple(name for name in names_below if name not in taken)
        taken.update(free)
        if free:
            children.append(folded(below, free))  # type: ignore[arg-type]
    own = OwnCosts(params=len(taken), trainable_params=1, macs=3, flops=6, weight_bytes=4)
    return FoldedModule(names, "Any", 1, own, children=tuple(children))


@given(trees)
def test_every_tree_survives_its_lines(tree: tuple[tuple[list[str], object], ...]) -> None:
    module = folded(tree)
    lines = tuple(to_lines(module))
    assert from_lines(lines, Convention(ran=True, trained=False, flops_per_mac=2)) == module
    assert module.total().macs == 3 * _count(module)


def _count(module: FoldedModule) -> int:
    return len(module.keys) * (1 + sum(map(_count, module.children)))


def test_a_module_without_a_parent_is_refused() -> None:
    text = write_lock(updated(Lock(), [model(4)])).replace('"name": "0"', '"name": "1"')
    with pytest.raises(LockError, match="does not follow its parent"):
        read_lock(text, "lock", 2)
