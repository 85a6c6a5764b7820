"""No operator of the installed torch is unclassified, and custom operators are counted as their formulas say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.utils import flop_counter

from pytest_modelbudget.counting import force_real_run, formula, measure, observe
from pytest_modelbudget.counting.operators import registry
from pytest_modelbudget.counting.operators.facts import needs_no_macs
from pytest_modelbudget.counting.operators.without_macs import WITHOUT_MACS

OURS = (
    "aten",
    "prims",
    "prim",
    "quantized",
    "_quantized",
    "quantization",
    "sparse",
    "mkldnn",
    "mkldnn_prepacked",
    "mkl",
)
OURS += (
    "onednn",
    "profiler",
    "_c10d_functional",
    "_c10d_functional_autograd",
    "c10d",
    "symm_mem",
    "rngprims",
    "_dtensor",
)
OURS += ("inductor", "inductor_prims", "export", "debug_mode_ops", "debugprims", "_native", "static_runtime")
SCRIPT_ONLY = {"prim"}  # TorchScript's own language: numbers, lists, control flow
ACROSS_MACHINES = re.compile("symm_mem::fused_.*matmul")  # one process runs a part of the product: unknown on purpose
NEWER = {
    (2, 14): {
        "c10d::gather_into_tensor_",
        "aten::linalg_matrix_sqrth",
        "aten::linalg_polar",
        "aten::shallow_copy_data_",
    },
    (2, 15): {
        "aten::_cudnn_attention_forward_no_dropout_inplace",
        "aten::_philox_randint",
        "aten::_scaled_addmm",
    },
}
"""Operators by the release of torch that they came with."""

GONE = {"aten::cholesky"}
"""Operators that went with torch 2.14."""

ELSEWHERE = {"aten::_mps_convolution", "aten::_mps_convolution_transpose"}


AT_LEAST = tuple(map(int, torch.__version__.split(".")[:2]))


def operators() -> Iterator[torch._ops.OpOverload]:
    dispatched = set(torch._C._dispatch_get_all_op_names())
    for schema in torch._C._jit_get_all_schemas():
        namespace, name = schema.name.split("::")
        full = f"{schema.name}.{schema.overload_name}" if schema.overload_name else schema.name
        if namespace in OURS and namespace not in SCRIPT_ONLY and full in dispatched:
            yield getattr(getattr(getattr(torch.ops, namespace), name), schema.overload_name or "default")


def composite(operator: torch._ops.OpOverload) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(operator.name(), "CompositeImplicitAutograd")


def test_every_operator_has_a_formula_or_is_known_to_need_none_or_only_calls_others() -> None:
    unclassified = [
        operator.name()
        for operator in operators()
        if registry.find_formula(operator._schema.name) is None
        and not needs_no_macs(operator)
        and not composite(operator)
    ]
    assert [name for name in unclassified if not ACROSS_MACHINES.match(name)] == []


def test_no_operator_is_in_both_tables() -> None:
    assert [name for name in registry.names_with_formula() if name in WITHOUT_MACS] == []


@pytest.mark.skipif(AT_LEAST < (2, 13), reason="the tables name operators of newer releases too")
def test_every_name_in_the_tables_exists() -> None:
    existing = {operator._schema.name for operator in operators()}
    named = {*registry.names_with_formula(), *WITHOUT_MACS}
    lazily = {
        "symm_mem",
        "_dtensor",
        "_c10d_functional",
        "torch_attn",
    }  # registered by modules that are imported when used
    if not torch.backends.mkldnn.is_available():  # as on macOS
        lazily |= {"mkldnn", "mkldnn_prepacked", "onednn"}
    named = {name for name in named if name.partition("::")[0] not in lazily}
    missing = {name for name in named if name not in existing and f"{name}_" not in existing}
    newer = {name for release, names in NEWER.items() if release > AT_LEAST for name in names}
    assert missing <= ELSEWHERE | newer | (GONE if AT_LEAST >= (2, 14) else set())


LIBRARY = torch.library.Library("modelbudget_test", "DEF")
LIBRARY.define("project(Tensor x, Tensor w) -> Tensor")
LIBRARY.impl("project", lambda x, w: (x @ w).contiguous(), "CompositeExplicitAutograd")
LIBRARY.define("opaque(Tensor x) -> Tensor")
LIBRARY.impl("opaque", lambda x: x.clone(), "CompositeExplicitAutograd")
LIBRARY.define("upstream(Tensor x) -> Tensor")
LIBRARY.impl("upstream", lambda x: x.clone(), "CompositeExplicitAutograd")
LIBRARY.define("decomposed(Tensor x, Tensor w) -> Tensor")
LIBRARY.impl("decomposed", lambda x, w: x @ w, "CompositeImplicitAutograd")


class Calls(nn.Module):
    def __init__(self, name: str, weights: int = 0) -> None:
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.ones(4, 6)) for _ in range(weights)])
        self.operator = getattr(torch.ops.modelbudget_test, name)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.operator(x, *self.weights)


@pytest.fixture
def restored() -> Iterator[None]:
    before = dict(registry._formulas)
    yield
    registry._formulas.clear()
    registry._formulas.update(before)
    registry.notify_changed()


def test_an_operator_without_formula_makes_the_measurement_a_lower_bound() -> None:
    model = nn.Sequential(nn.Linear(4, 4), Calls("opaque"), Calls("opaque"))
    for real in (False, True):
        if real:
            with force_real_run():
                found = measure(model, torch.ones(3, 4))
        else:
            found = measure(model, torch.ones(3, 4))
        assert not found.complete
        assert found.macs == 3 * 4 * 4
        assert [(cost.name, cost.module, cost.calls) for cost in found.unknown] == [
            ("modelbudget_test::opaque", "1", 1),
            ("modelbudget_test::opaque", "2", 1),
        ]
        assert "lower bound" in str(found)


def test_unknown_operators_come_in_the_order_of_the_modules_and_then_in_that_of_their_calls() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Calls("opaque"), Calls("opaque")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(self.second(x))
            return torch.ops.modelbudget_test.project(torch.ops.modelbudget_test.opaque(x), torch.ones(4, 6))

    for run in (nullcontext(), force_real_run()):
        with run:
            found = measure(Backwards(), torch.ones(3, 4))
        assert [(cost.name, cost.module) for cost in found.unknown] == [
            ("modelbudget_test::opaque", ""),
            ("modelbudget_test::project", ""),
            ("modelbudget_test::opaque", "first"),
            ("modelbudget_test::opaque", "second"),
        ]


def test_a_registered_formula_counts_even_after_a_first_measurement(restored: None) -> None:
    model = Calls("project", weights=1)
    assert not measure(model, torch.ones(3, 4)).complete

    @formula("modelbudget_test::project")
    def project(x: tuple[int, ...], w: tuple[int, ...], *, out_shape: tuple[int, ...]) -> int:
        assert (x, w, out_shape) == ((3, 4), (4, 6), (3, 6))
        return x[0] * x[1] * w[1]

    for _ in range(2):
        found = measure(model, torch.ones(3, 4))
        assert (found.complete, found.macs) == (True, 3 * 4 * 6)
    with observe() as seen:
        model(torch.ones(3, 4))
    assert [one.macs for one in seen.measurements] == [3 * 4 * 6]


def test_an_operator_that_only_calls_others_is_counted_by_what_it_calls() -> None:
    found = measure(Calls("decomposed", weights=1), torch.ones(3, 4))
    assert (found.complete, found.macs) == (True, 3 * 4 * 6)


def test_formulas_registered_with_torch_are_honoured_outside_of_aten() -> None:
    target, before = torch.ops.modelbudget_test.upstream, dict(flop_counter.flop_registry)

    @flop_counter.register_flop_formula(target)
    def flops(x: tuple[int, ...], *args: object, out_shape: object = None, **kwargs: object) -> int:
        return 2 * x[0] * x[1]

    registry.notify_changed()
    try:
        found = measure(Calls("upstream"), torch.ones(3, 4))
    finally:
        flop_counter.flop_registry.clear()
        flop_counter.flop_registry.update(before)
        registry.notify_changed()
    assert (found.complete, found.macs) == (True, 3 * 4)


@pytest.mark.parametrize("name", ["mm", "aten.mm", "::mm", "a::", "a::b.c", ""])
def test_a_formula_needs_a_qualified_name(name: str) -> None:
    with pytest.raises(ValueError, match="namespace::operator"):
        formula(name)


def test_a_formula_is_a_function() -> None:
    with pytest.raises(TypeError, match="takes a function"):
        formula("a::b")(3)  # type: ignore[type-var]


def test_a_kernel_of_torchs_own_stands_for_the_operator_that_it_implements() -> None:
    assert registry.find_formula("_native::bmm_triton_0") is registry.find_formula("aten::bmm")
    assert registry.find_formula("_native::_foreach_mm_native_7") is registry.find_formula("aten::_foreach_mm")
    assert registry.implemented_name("_native::linalg_polar_out_native_3") == "aten::linalg_polar"
    assert registry.implemented_name("aten::mm") == "aten::mm"
