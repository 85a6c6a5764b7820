"""Evaluate an operator on meta tensors: which tensors come out of it, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_map

from pytest_modelbudget.counting.errors import ShapeRunStop
from pytest_modelbudget.counting.operators.facts import Plan, macs_of
from pytest_modelbudget.counting.shape_run.outcomes import Argument, Entry, tensors_in
from pytest_modelbudget.counting.shape_run.tensors import Spec, spec_of


def evaluate(plan: Plan, func: Any, args: Any, kwargs: Any, spec: Callable[[torch.Tensor], Spec]) -> Entry:
    """Run an operator once on meta tensors with the specs of its arguments.

    Raises what the operator raises for these shapes, and :class:`ShapeRunStop` where it has no meta kernel, where its
    result follows from values, or where the real kernel would refuse what meta kernels let through.
    """
    originals = tensors_in(args, kwargs)
    specs = [spec(tensor) for tensor in originals]
    told = _told(plan, args, kwargs, spec) if plan.rule is not None else None
    if told is not None:
        return told
    requested = kwargs.get("device")
    device = _device(specs) if requested is None else torch.device(requested)
    if plan.formula is not None:
        _check_operands(plan, specs)
    metas = [torch.empty_strided(s.shape, s.stride, dtype=s.dtype, device="meta") for s in specs]
    queue = iter(metas)
    meta_args, meta_kwargs = tree_map(
        lambda leaf: next(queue) if isinstance(leaf, torch.Tensor) else leaf, (args, kwargs)
    )
    if "device" in kwargs:
        meta_kwargs["device"] = torch.device("meta")
    if meta_kwargs.get("pin_memory"):
        meta_kwargs["pin_memory"] = False
    out = _run(plan, func, meta_args, meta_kwargs)

    def describe(leaf: Any) -> Any:
        if isinstance(leaf, (tuple, list)):
            return [describe(item) for item in leaf] if type(leaf) is list else tuple(map(describe, leaf))
        if isinstance(leaf, torch.Tensor):
            same = next((index for index, meta in enumerate(metas) if leaf is meta), None)
            return spec_of(leaf, device) if same is None else Argument(same)
        if leaf is not None and not plan.harmless:
            raise ShapeRunStop(f"the result of {plan.name} is a number that follows from values")
        return leaf

    result = describe(out)
    changed = tuple(
        (index, spec_of(meta, specs[index].device))
        for index, meta in enumerate(metas)
        if plan.writes and (tuple(meta.shape) != specs[index].shape or meta.stride() != specs[index].stride)
    )
    return Entry(result, changed, plan.charges(lambda: macs_of(plan, meta_args, meta_kwargs, out)))


def _told(plan: Plan, args: Any, kwargs: Any, spec: Callable[[torch.Tensor], Spec]) -> Entry | None:
    """Answer from the operator's shape rule, if it has one for these arguments."""
    seen = tree_map(lambda leaf: spec(leaf) if isinstance(leaf, torch.Tensor) else leaf, (args, kwargs))
    assert plan.rule is not None
    result = plan.rule(*seen[0], **seen[1])
    if result is None:
        return None
    if plan.writes and plan.name.endswith("_"):
        return Entry(Argument(0), (), ()) if result.shape == seen[0][0].shape else None
    if plan.formula is None:
        return Entry(result, (), ())
    if plan.formula.raw:
        return None
    shapes = tree_map(_shape, (seen[0], seen[1], result))
    macs = int(plan.formula.function(*shapes[0], **shapes[1], out_shape=shapes[2]))
    return Entry(result, (), ((plan.name, macs),))


def _shape(leaf: Any) -> Any:
    return leaf.shape if type(leaf) is Spec else leaf


def _run(plan: Plan, func: Any, args: Any, kwargs: Any) -> Any:
    try:
        with torch.no_grad():
            return func(*args, **kwargs)
    except NotImplementedError:
        pass  # no kernel for meta tensors; fake ones know more operators, and are slow to import
    from torch._subclasses.fake_tensor import FakeTensorMode

    try:
        with FakeTensorMode(allow_non_fake_inputs=False) as mode, torch.no_grad():
            fake = tree_map(lambda leaf: _fake(leaf, mode), (args, _on_cpu(kwargs)))
            out = func(*fake[0], **fake[1])
    except Exception as error:
        raise ShapeRunStop(f"{plan.name} has no kernel that works on shapes alone ({type(error).__name__})") from None
    return tree_map(_meta, out)


def _on_cpu(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**kwargs, "device": torch.device("cpu")} if "device" in kwargs else kwargs


def _fake(leaf: Any, mode: Any) -> Any:
    if not isinstance(leaf, torch.Tensor):
        return leaf
    with mode:
        return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="cpu")


def _meta(leaf: Any) -> Any:
    if not isinstance(leaf, torch.Tensor):
        return leaf
    return torch.empty_strided(tuple(map(int, leaf.shape)), leaf.stride(), dtype=leaf.dtype, device="meta")


def _device(specs: list[Spec]) -> torch.device:
    """Return where the result lives: with the first operand that is not a scalar."""
    for spec in specs:
        if spec.shape:
            return spec.device
    return specs[0].device if specs else torch.get_default_device()


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


def _check_operands(plan: Plan, specs: list[Spec]) -> None:
    """Refuse what real products refuse and meta kernels accept: operands of differing dtypes or devices."""
    if not plan.name.startswith("aten::") or any(part in plan.name for part in _MIXED_BY_DESIGN):
        return
    if len({spec.dtype for spec in specs}) > 1:
        raise ShapeRunStop(f"{plan.name} was given operands of differing dtypes")
    if len({spec.device for spec in specs if spec.shape and spec.device.type != "meta"}) > 1:
        raise ShapeRunStop(f"{plan.name} was given operands on differing devices")
