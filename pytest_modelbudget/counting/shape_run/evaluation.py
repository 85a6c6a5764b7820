"""Evaluate an operator on meta tensors: which tensors come out of it, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pytest_modelbudget.counting.errors import ShapeRunStop
from pytest_modelbudget.counting.operators.facts import OperatorFacts, macs_of_call
from pytest_modelbudget.counting.shape_run.operator_facts import ShapeRunFacts
from pytest_modelbudget.counting.shape_run.outcomes import ArgumentAt, Outcome, tensors_in
from pytest_modelbudget.counting.shape_run.tensors import CONJUGATED, NEGATED, Spec, check_has_spec, spec_of
from pytest_modelbudget.counting.torch_private import fake_tensor_mode, negated_view, tree_map


def evaluate(facts: ShapeRunFacts, func: Any, args: Any, kwargs: Any, spec: Callable[[torch.Tensor], Spec]) -> Outcome:
    """Run an operator once on meta tensors with the specs of its arguments, which ``spec`` returns.

    Raises what the operator raises for these shapes, and :class:`ShapeRunStop` where it has no meta kernel, where its
    result follows from values, or where the real kernel would refuse what meta kernels accept.
    """
    if facts.shape_rule is not None:
        outcome = _by_rule(facts, args, kwargs, spec)
        if outcome is not None:
            return outcome
    specs = [spec(tensor) for tensor in tensors_in(args, kwargs)]
    if facts.formula is not None:
        _check_operands(facts, specs)
    metas = list(map(_meta_of, specs))
    meta_args, meta_kwargs = _on_meta(metas, args, kwargs)
    out = _run(facts, func, meta_args, meta_kwargs)
    result = _describe(out, facts, metas)
    changed = tuple(
        (position, spec_of(meta))
        for position, meta in enumerate(metas)
        if facts.mutable_arguments
        and (tuple(meta.shape) != specs[position].shape or meta.stride() != specs[position].stride)
    )
    return Outcome(result, changed, facts.charges(lambda: macs_of_call(facts, meta_args, meta_kwargs, out)))


def _meta_of(spec: Spec) -> torch.Tensor:
    """Return a meta tensor with a spec."""
    meta = torch.empty_strided(spec.shape, spec.stride, dtype=spec.dtype, device="meta")
    if spec.bits & CONJUGATED:
        meta = torch.conj(meta)
    return negated_view(meta) if spec.bits & NEGATED else meta


def _by_rule(facts: ShapeRunFacts, args: Any, kwargs: Any, spec: Callable[[torch.Tensor], Spec]) -> Outcome | None:
    """Return what the operator's shape rule says of the call, or None where it leaves that to the meta kernel."""
    rule, formula = facts.shape_rule, facts.formula
    assert rule is not None
    specs = [_with_specs(arg, spec) for arg in args]
    options = {name: _with_specs(value, spec) for name, value in kwargs.items()}
    result = rule(*specs, **options)
    if result is None:
        return None
    if facts.mutable_arguments and facts.name.endswith("_"):
        # An in-place operator returns its first argument; where that would change its shape, the kernel raises.
        return Outcome(ArgumentAt(0), (), ()) if result.shape == specs[0].shape else None
    if formula is None:
        return Outcome(result, (), ())
    if formula.takes_tensors:
        return None
    named = {name: _with_shapes(value) for name, value in options.items()}
    macs = formula.function(*map(_with_shapes, specs), **named, out_shape=_with_shapes(result))
    return Outcome(result, (), ((facts.name, None if macs is None else int(macs)),))


def _with_specs(arg: Any, spec: Callable[[torch.Tensor], Spec]) -> Any:
    """Return an argument with specs in the place of its tensors; operators take them bare or in lists."""
    if isinstance(arg, torch.Tensor):
        return spec(arg)
    if type(arg) in (list, tuple) and not (arg and type(arg[0]) is int):
        return [_with_specs(item, spec) for item in arg]
    return arg


def _with_shapes(arg: Any) -> Any:
    if type(arg) is Spec:
        return arg.shape
    if type(arg) in (list, tuple) and not (arg and type(arg[0]) is int):
        return type(arg)(map(_with_shapes, arg))
    return arg


def _on_meta(metas: list[torch.Tensor], args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """Return the arguments of a call with meta tensors in the place of its tensors."""
    remaining = iter(metas)
    meta_args, meta_kwargs = tree_map(
        lambda leaf: next(remaining) if isinstance(leaf, torch.Tensor) else leaf, (args, kwargs)
    )
    # What is created must lie on meta as well, and a meta tensor has no memory that could be pinned.
    if "device" in kwargs:
        meta_kwargs["device"] = torch.device("meta")
    if meta_kwargs.get("pin_memory"):
        meta_kwargs["pin_memory"] = False
    return meta_args, meta_kwargs


def _describe(out: Any, facts: ShapeRunFacts, metas: list[torch.Tensor]) -> Any:
    """Return the result of a call on meta tensors as an :class:`Outcome` holds it."""
    if isinstance(out, (tuple, list)):
        described = [_describe(item, facts, metas) for item in out]
        return described if type(out) is list else tuple(described)
    if isinstance(out, torch.Tensor):
        same = next((position for position, meta in enumerate(metas) if out is meta), None)
        return spec_of(out) if same is None else ArgumentAt(same)
    # A number such as that of item() depends on values, and a meta tensor has none.
    if out is not None and not facts.is_number_from_metadata:
        raise ShapeRunStop(f"the result of {facts.name} is a number that follows from values")
    return out


def _run(facts: ShapeRunFacts, func: Any, args: Any, kwargs: Any) -> Any:
    try:
        with torch.no_grad():
            return func(*args, **kwargs)
    except NotImplementedError:
        pass  # no kernel for meta tensors; fake ones know more operators, and are slow to import
    try:
        with fake_tensor_mode() as mode, torch.no_grad():
            fake = tree_map(lambda leaf: _as_fake(leaf, mode), (args, _with_cpu_device(kwargs)))
            out = func(*fake[0], **fake[1])
    except Exception as error:
        raise ShapeRunStop(f"{facts.name} has no kernel that works on shapes alone ({type(error).__name__})") from None
    return tree_map(_as_meta, out)


def _with_cpu_device(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**kwargs, "device": torch.device("cpu")} if "device" in kwargs else kwargs


def _as_fake(leaf: Any, mode: Any) -> Any:
    if not isinstance(leaf, torch.Tensor):
        return leaf
    with mode:
        return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="cpu")


def _as_meta(leaf: Any) -> Any:
    if not isinstance(leaf, torch.Tensor):
        return leaf
    check_has_spec(leaf)
    return torch.empty_strided(tuple(map(int, leaf.shape)), leaf.stride(), dtype=leaf.dtype, device="meta")


_MIXED_BY_DESIGN = (
    "scaled",
    "grouped",
    "int8",
    "int4",
    "4bit",
    "dequant",
    "_mixed",
    "quant",
    "masked",
    "attention",
    "rnn",
    "flash",
)


def _check_operands(facts: OperatorFacts, specs: list[Spec]) -> None:
    """Refuse what real products refuse and meta kernels accept: operands of differing dtypes."""
    if not facts.name.startswith("aten::") or any(part in facts.name for part in _MIXED_BY_DESIGN):
        return
    if len({spec.dtype for spec in specs}) > 1:
        raise ShapeRunStop(f"{facts.name} was given operands of differing dtypes")
