"""The shape run: a forward pass in which weights and activations have shapes but no data.

A dispatch mode sees every operator. Parameters, floating-point inputs and all that is computed from them are shape
tensors; everything whose value is determined and small (masks, positions, index tables) stays real and is computed.
What an operator does to shapes is found once, on meta tensors, and remembered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn
from weakref import ref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from pytest_modelbudget.counting.errors import AutogradWanted, ShapeRunStop
from pytest_modelbudget.counting.modules.ledger import Ledger
from pytest_modelbudget.counting.operators.facts import PLANS, Charge, Plan, known_plans, macs_of, plan_of
from pytest_modelbudget.counting.plain_tensors import PLAIN
from pytest_modelbudget.counting.restoring.storages import Storages
from pytest_modelbudget.counting.shape_run import composites, memo, values
from pytest_modelbudget.counting.shape_run.composites import BelowAutograd, Trace, changes_composites, takes_gradients
from pytest_modelbudget.counting.shape_run.evaluation import evaluate
from pytest_modelbudget.counting.shape_run.known_values import Knowledge
from pytest_modelbudget.counting.shape_run.outcomes import Argument, Entry, tensors_in
from pytest_modelbudget.counting.shape_run.tensors import ShapeTensor, Spec, become, make, spec_of

_KNOWN_FLOATS_BUILDING = 1 << 14
_KNOWN_FLOATS = 1 << 20
_KNOWN_INTEGERS = 1 << 22
_WORK_AT_MOST = 1 << 26
_SMALL = 1 << 11


class ShapeRun(TorchDispatchMode):
    """The mode. ``stopped`` is the first exception that an operator raised in it; with one, its counts are void."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ledger: Ledger | None = None
        self.stopped: BaseException | None = None
        self.storages = Storages()
        self.known = Knowledge()
        self._made: list[ref[ShapeTensor]] = []
        self.below = BelowAutograd()
        self._trace: Trace | None = None
        self._work = 0
        self._known_floats = _KNOWN_FLOATS_BUILDING

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the wrapper that torch puts around the mode otherwise costs more than the mode

    def begin_forward(self, weights: Iterable[torch.Tensor], ledger: Ledger) -> None:
        """Take ``weights`` for shape tensors from here on, and charge what runs to ``ledger``."""
        self.ledger = ledger
        self._known_floats = _KNOWN_FLOATS
        self.known.take_for_shapes([tensor for tensor in weights if type(tensor) is not ShapeTensor])

    def shape_tensor(self, spec: Spec) -> ShapeTensor:
        """Return a new shape tensor that :meth:`survivors` watches."""
        tensor = make(spec)
        self._made.append(ref(tensor))
        return tensor

    def stop(self, reason: str) -> NoReturn:
        """End the run."""
        self.stopped = ShapeRunStop(reason)
        raise self.stopped

    def forget(self) -> None:
        """Let go of everything the run held, so that only what others hold survives it."""
        self.ledger = self.stopped = None
        self.known.forget()

    def survivors(self) -> list[ShapeTensor]:
        """Return the shape tensors of this run that still live."""
        return [tensor for tensor in (made() for made in self._made) if tensor is not None]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer one operator; whatever it raises voids the run."""
        if self.stopped is not None:
            raise ShapeRunStop("the run has stopped before")
        try:
            plan = PLANS.get(id(func)) or self._plan(func)
            if self.below.on:
                if takes_gradients():
                    raise AutogradWanted("the forward itself takes gradients")
                if plan.composite:
                    return self._composite(plan, func, args, kwargs or {})
            if plan.by_kernel:
                return self._by_kernel(plan, func, args, kwargs or {})
            if self.ledger is None and torch._C._get_tracing_state() is not None:
                raise ShapeRunStop("a trace would keep tensors without data")
            unknown, key = self.known.key(args, kwargs)
            if not unknown:
                return self._compute(plan, func, args, kwargs or {}, key)
            if plan.by_value:
                return self._from_values(plan, func, args, kwargs or {})
            return self._shapes(plan, func, args, kwargs, key)
        except BaseException as error:
            self.stopped = error
            raise

    def _plan(self, func: Any) -> Plan:
        if not isinstance(func, torch._ops.OpOverload):
            raise ShapeRunStop(f"the higher-order operator {func} runs code of its own")
        return plan_of(func)

    def _by_kernel(self, plan: Plan, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if plan.profiling:
            return func(*args, **kwargs)
        with self:
            return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)

    def _composite(self, plan: Plan, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a composite operator by what it calls, which is remembered as a whole where that is safe."""
        if changes_composites():
            raise AutogradWanted("the forward casts, or is in inference mode")
        depends = composites.depends(plan)
        if depends is None:
            return self._with_autograd(func, args, kwargs)
        unknown, key = self.known.key(args, kwargs)
        if not unknown:
            return self._with_autograd(func, args, kwargs)
        key = (key, depends(args))
        entry = memo.look_up(plan, key)
        if entry is not None:
            return self._remembered(plan, entry, args, kwargs)
        trace = self._trace = Trace()
        try:
            out = self._with_autograd(func, args, kwargs)
        finally:
            self._trace = None
        entry = trace.entry(out, args, kwargs)
        if entry is not None:
            memo.remember(plan, key, entry, known_plans)
        return out

    def _with_autograd(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run an operator as it runs where autograd is not left out."""
        with self.below.paused(), self:
            return func(*args, **kwargs)

    def _shapes(self, plan: Plan, func: Any, args: Any, kwargs: dict[str, Any] | None, key: Any) -> Any:
        """Answer an operator on shape tensors, from the memo where it has been seen."""
        entry = plan.memo.get(key) or self._entry(plan, func, args, kwargs or {}, key)
        return self._remembered(plan, entry, args, kwargs)

    def _remembered(self, plan: Plan, entry: Entry, args: Any, kwargs: dict[str, Any] | None) -> Any:
        if entry.charges and self.ledger is not None:
            self._charge(self.ledger, entry.charges)
        if plan.writes:
            self._write(plan, args, kwargs or {}, entry)
        result = entry.result
        if type(result) is Spec:
            return self.shape_tensor(result)
        if type(result) is Argument and plan.writes == (0,):
            return args[0]
        return self._build(result, args, kwargs or {})

    def _build(self, result: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if type(result) is tuple:
            return tuple(
                [self.shape_tensor(item) if type(item) is Spec else self._build(item, args, kwargs) for item in result]
            )
        if type(result) is list:
            return list(self._build(tuple(result), args, kwargs))
        return tensors_in(args, kwargs)[result.index] if type(result) is Argument else result

    def _entry(self, plan: Plan, func: Any, args: Any, kwargs: dict[str, Any], key: Any) -> Entry:
        return memo.look_up(plan, key) or self._evaluate(plan, func, args, kwargs, key)

    def _evaluate(self, plan: Plan, func: Any, args: Any, kwargs: dict[str, Any], key: Any) -> Entry:
        entry = evaluate(plan, func, args, kwargs, self.known.spec)
        memo.remember(plan, key, entry, known_plans)
        return entry

    def _write(self, plan: Plan, args: Any, kwargs: dict[str, Any], entry: Entry) -> None:
        """Take the values of real tensors that were written into for unknown; change the metadata of shape tensors."""
        for target in self._targets(plan, args, kwargs):
            if type(target) is not ShapeTensor:
                self.known.write_unknown(target)
        if entry.changed:
            tensors = tensors_in(args, kwargs)
            for index, spec in entry.changed:
                target = tensors[index]
                if type(target) is not ShapeTensor:
                    raise ShapeRunStop(f"{plan.name} changes the shape of a tensor that has data")
                become(target, spec)

    def _targets(self, plan: Plan, args: Any, kwargs: dict[str, Any]) -> list[torch.Tensor]:
        targets = plan.written(args, kwargs)
        if self._trace is not None:
            self._trace.written.extend(targets)
        return targets

    def _charge(self, ledger: Ledger, charges: tuple[Charge, ...]) -> None:
        for name, macs in charges:
            ledger.charge(name, macs)
        if self._trace is not None:
            self._trace.charges.extend(charges)

    def _compute(self, plan: Plan, func: Any, args: Any, kwargs: dict[str, Any], key: Any) -> Any:
        """Answer an operator on real tensors: run it if its result is determined and small enough."""
        if plan.view or plan.dynamic:
            return self._run(plan, func, args, kwargs)
        if plan.random or plan.empty:
            return self._undetermined(plan, func, args, kwargs, key)
        tensors = tensors_in(args, kwargs)
        work = sum([tensor.numel() for tensor in tensors])
        if not plan.writes and (plan.grows or not tensors or work > _SMALL or plan.formula is not None):
            entry = plan.memo.get(key) or self._evaluate_known(plan, func, args, kwargs, key)
            if entry is not None:
                work += entry.numel + entry.macs
                if work > _SMALL and not self._affordable(entry, work):
                    return self._remembered(plan, entry, args, kwargs)
        self._work += work
        return self._run(plan, func, args, kwargs)

    def _evaluate_known(self, plan: Plan, func: Any, args: Any, kwargs: dict[str, Any], key: Any) -> Entry | None:
        try:
            return self._entry(plan, func, args, kwargs, key)
        except ShapeRunStop:
            return None  # there are values: let the operator itself answer

    def _affordable(self, entry: Entry, work: int) -> bool:
        floats = any(spec.dtype.is_floating_point for spec in entry.specs())
        limit = self._known_floats if floats else _KNOWN_INTEGERS
        return entry.numel <= limit and work <= 4 * _KNOWN_INTEGERS and self._work + work <= _WORK_AT_MOST

    def _run(self, plan: Plan, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if plan.writes:
            for target in self._targets(plan, args, kwargs):
                self.storages.keep(target)
        out = func(*args, **kwargs)
        if not plan.view and not plan.writes:
            for tensor in (out,) if type(out) is torch.Tensor else tensors_in((out,), {}):
                if tensor.layout is torch.strided:
                    self.storages.born(tensor)
        if self.ledger is not None and (plan.formula is not None or plan.unknown):
            self._charge(self.ledger, plan.charges(lambda: macs_of(plan, args, kwargs, out)))
        return out

    def _undetermined(self, plan: Plan, func: Any, args: Any, kwargs: dict[str, Any], key: Any) -> Any:
        """Answer an operator whose result has no determined value: random numbers and fresh memory."""
        if plan.writes:
            return self._shapes(plan, func, args, kwargs, key)
        entry = plan.memo.get(key) or self._entry(plan, func, args, kwargs, key)
        if plan.empty and entry.numel <= _SMALL:
            if entry.numel == 0:
                return func(*args, **kwargs)
            if type(entry.result) is Spec and not _is_inexact(entry.result.dtype):
                out = func(*args, **kwargs)
                self.storages.born(out)
                self.known.write_unknown(out)
                return out
        return self._remembered(plan, entry, args, kwargs)

    def _from_values(self, plan: Plan, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer an operator whose result follows from values, if those values are known."""
        tensors = tensors_in(args, kwargs)
        clean = all(type(tensor) is not ShapeTensor and not self.known.is_unknown(tensor) for tensor in tensors)
        if clean and plan.dynamic and not plan.writes:
            return func(*args, **kwargs)  # the value of a weight that nothing has written into
        if plan.writes and self.known.overwrite_known(args):
            return self._run(plan, func, args, kwargs)
        handler = values.HANDLERS.get(plan.name)
        if handler is not None:
            answer = handler(args, kwargs, self.known.is_known)
            if answer is not None:
                with self:
                    return answer(func)
        if plan.dynamic and not values.shapes_suffice(plan.name, args):
            raise ShapeRunStop(plan.name)
        _, key = self.known.key(args, kwargs)
        return self._shapes(plan, func, args, kwargs, key)


def _is_inexact(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex


def as_shapes(value: Any, run: ShapeRun, device: torch.device | None) -> Any:
    """Replace the floating-point tensors in ``value`` by shape tensors, and meta tensors of any dtype."""

    def replace(leaf: Any) -> Any:
        if type(leaf) not in PLAIN or not (_is_inexact(leaf.dtype) or leaf.is_meta):
            return leaf
        tensor = run.shape_tensor(spec_of(leaf, device if leaf.is_meta else None))
        return tensor.requires_grad_(leaf.requires_grad) if leaf.requires_grad else tensor

    return tree_map(replace, value)
