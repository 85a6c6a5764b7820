"""The mode of the shape run: weights and activations have shapes but no data.

A dispatch mode sees every operator. Parameters, floating-point inputs and all that is computed from them have no
values; everything whose value is determined and small (masks, positions, index tables) stays real and is computed.
What an operator does to shapes is found once, on meta tensors, and remembered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import torch

from pytest_modelbudget.counting.errors import AutogradNeeded, ShapeRunStop, is_interrupt
from pytest_modelbudget.counting.memory.lifetimes import Lifetimes
from pytest_modelbudget.counting.modules.ledger import Ledger, note_traced
from pytest_modelbudget.counting.operators.facts import Charge, macs_of_call
from pytest_modelbudget.counting.plain_tensors import PLAIN_TYPES
from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.shape_run import memo, values
from pytest_modelbudget.counting.shape_run.composites import BelowAutograd, CompositeTrace, decomposes_unusually
from pytest_modelbudget.counting.shape_run.evaluation import evaluate
from pytest_modelbudget.counting.shape_run.operator_facts import SHAPE_RUN_FACTS, ShapeRunFacts
from pytest_modelbudget.counting.shape_run.outcomes import ArgumentAt, Outcome, build_result, tensors_in
from pytest_modelbudget.counting.shape_run.reserved_memory import is_reserved
from pytest_modelbudget.counting.shape_run.run_tensors import RunTensors
from pytest_modelbudget.counting.shape_run.tensors import Spec, is_inexact
from pytest_modelbudget.counting.shape_run.work import SMALL, Work, may_be_much
from pytest_modelbudget.counting.torch_private import (
    DisableTorchFunction,
    DispatchMode,
    OpOverload,
    any_dispatch_mode,
    decompose,
    dispatch_mode_stack_length,
    modes_without_data,
    records_gradients,
    sees_torch_functions,
    storage_of,
    tracing_state,
)

_known_facts = SHAPE_RUN_FACTS.known
_READ_BY_COMPOSITES = {"aten::resolve_conj": 0, "aten::tensor_split": 1, "aten::_pad_packed_sequence": 1}
"""The position of the argument whose memory a composite operator reads, or whoever calls it does afterwards."""


class ShapeRun(RunTensors, DispatchMode):
    """The mode. ``stopped_by`` is the first exception that an operator raised in it; with one, its counts are void."""

    def __init__(self) -> None:
        DispatchMode.__init__(self)
        RunTensors.__init__(self, self.stop)
        self.ledger: Ledger | None = None
        self.stopped_by: BaseException | None = None
        self.below_autograd = BelowAutograd()
        self.lifetimes: Lifetimes | None = None
        self._trace: CompositeTrace | None = None
        self._work = Work()

    def begin_forward(self, weights: Iterable[torch.Tensor], ledger: Ledger) -> None:
        """Ignore the values of ``weights`` from here on, and charge what runs to ``ledger``."""
        self.ledger = ledger
        self._work.begin_forward()
        self.known_values.ignore_values_of(weights)

    def stop(self, reason: str) -> NoReturn:
        """End the run."""
        self.stopped_by = ShapeRunStop(reason)
        raise self.stopped_by

    def refuse_threads(self, function: Any) -> NoReturn:
        """End the run where another thread is to run something, which no mode would see."""
        self.stop(f"{getattr(function, '__qualname__', function)}() in another thread")

    def refuse_modes(self, changes: Changes) -> None:
        """Go above autograd where the model enters a mode: below, it would see other operators than it knows."""
        enter = any_dispatch_mode.__enter__

        def entered(mode: Any) -> Any:
            if mode is not self and dispatch_mode_stack_length():  # within operators there is none
                self.stopped_by = AutogradNeeded("the forward enters a mode of its own")
                raise self.stopped_by
            return enter(mode)

        changes.replace(any_dispatch_mode, "__enter__", entered)

    def check_not_stopped(self, who: str) -> None:
        """Raise :class:`ShapeRunStop` if the run has stopped, and ``who`` caught the exception that says so."""
        if self.stopped_by is not None:
            raise ShapeRunStop(f"{who} caught the exception that asked for values")

    def has_led_to(self, error: BaseException) -> bool:
        """Return whether the model ends the program because it caught the exception that asked for values."""
        return isinstance(error, SystemExit) and isinstance(self.stopped_by, ShapeRunStop)

    @property
    def interrupt(self) -> BaseException | None:
        """The exception that stopped the run if it is none of the model's, such as a time limit that came meanwhile."""
        return self.stopped_by if self.stopped_by is not None and is_interrupt(self.stopped_by) else None

    def release(self) -> None:
        """Let go of everything the run held: a tensor that lives on is then held by the model or the user."""
        self.ledger = self.stopped_by = self.lifetimes = None
        self.release_tensors()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer one operator, unseen by function modes."""
        answer = self._answer if self.lifetimes is None else self._answer_and_note
        if sees_torch_functions():
            with DisableTorchFunction():
                return answer(func, args, kwargs)
        return answer(func, args, kwargs)

    def _answer_and_note(self, func: Any, args: Any, kwargs: Any) -> Any:
        assert self.lifetimes is not None
        return self.lifetimes.around(self._answer, SHAPE_RUN_FACTS, func, args, kwargs)

    def _answer(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Answer one operator; whatever it raises voids the run."""
        # The model caught our exception and went on, or another mode is active, which answers after this one.
        if self.stopped_by is not None or dispatch_mode_stack_length():
            return self._run_for_others(func, args, kwargs or {})
        try:
            # By identity, which is quicker to look up than the operator itself.
            facts = _known_facts.get(id(func)) or self._facts_of(func)
            if self.below_autograd.is_active:
                if records_gradients():
                    raise AutogradNeeded("the forward itself takes gradients")
                if facts.is_composite:
                    return self._answer_composite(facts, func, args, kwargs or {})
            if facts.runs_unchanged:
                return self._run_unchanged(facts, func, args, kwargs or {})
            self._check_no_trace()
            unknown, key = self.known_values.call_key(args, kwargs)
            if not unknown:
                return self._answer_known(facts, func, args, kwargs or {}, key)
            if facts.may_need_values:
                return self._answer_from_values(facts, func, args, kwargs or {}, key)
            return self._answer_with_shapes(facts, func, args, kwargs, key)
        except BaseException as error:
            self.stopped_by = error
            raise

    def _run_for_others(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run an operator under a mode that answers after this one: a fake or functional one, or one that traces."""
        self.check_not_stopped("the model")
        modes = modes_without_data() or self.stop("a trace records what runs")
        return note_traced(self.ledger, modes, func)(*args, **kwargs)

    def _facts_of(self, func: Any) -> ShapeRunFacts:
        if not isinstance(func, OpOverload):
            raise ShapeRunStop(f"the higher-order operator {func} runs code of its own")
        return SHAPE_RUN_FACTS.facts_of(func)

    def _run_unchanged(self, facts: ShapeRunFacts, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if facts.is_native:
            return self._run_native(facts, func, args, kwargs)
        if facts.is_profiling:
            return func(*args, **kwargs)
        with self:
            return decompose(func, args, kwargs)

    def _check_no_trace(self) -> None:
        if self.ledger is None and tracing_state() is not None:
            raise ShapeRunStop("a trace would keep tensors without data")

    def _run_native(self, facts: ShapeRunFacts, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Let torch make a view, or change what a tensor looks at: that touches no data."""
        self._check_no_trace()
        target = args[0]
        if type(target) not in PLAIN_TYPES:
            raise ShapeRunStop(f"tensors of type {type(target).__name__} have operators of their own")
        if facts.changes_bits:
            self.known_values.has_bits = True
        if facts.changes_metadata and not is_reserved(target):
            self.storages.note_exchange(target)
            self.known_values.forget_spec(target)
        return func(*args, **kwargs)

    def _answer_composite(self, facts: ShapeRunFacts, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Answer a composite operator by what it calls, which is remembered as a whole where that is safe."""
        if decomposes_unusually():
            raise AutogradNeeded("the forward casts, or is in inference mode")
        flags_of = facts.flags_of
        if flags_of is None:
            handler = facts.composite_handler
            answer = handler(args, kwargs, self.known_values.is_known) if handler is not None else None
            if answer is not None:
                with self:
                    return answer(func)
            self._check_memory_is_not_read(facts.name, args)
            return self._run_with_autograd(func, args, kwargs)
        unknown, key = self.known_values.call_key(args, kwargs)
        if not unknown:
            return self._run_with_autograd(func, args, kwargs)
        key = (key, flags_of(args))
        outcome = facts.outcomes.get(key) or memo.look_up(facts, key)
        if outcome is not None:
            return self._repeat(facts, outcome, args, kwargs)
        trace = self._trace = CompositeTrace()
        try:
            out = self._run_with_autograd(func, args, kwargs)
        finally:
            self._trace = None
        outcome = trace.outcome(out, args, kwargs)
        if outcome is None:
            return out
        memo.remember(facts, key, outcome)
        return self._result_of(facts, outcome, args, kwargs)  # where torch makes views, they must not be views already

    def _check_memory_is_not_read(self, name: str, args: Any) -> None:
        """End the run at what ``tolist`` and the like call first, wherever they were captured: no guard sees those."""
        position = _READ_BY_COMPOSITES.get(name)
        for written in () if position is None else args[position : position + 1]:
            if (
                isinstance(written, torch.Tensor)
                and not written.dtype.is_complex
                and self.known_values.has_stale_data(written)
            ):
                raise ShapeRunStop(f"{name}, after which memory is read")

    def _run_with_autograd(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        return self.below_autograd.run_with_autograd(self, func, args, kwargs)

    def _answer_with_shapes(
        self, facts: ShapeRunFacts, func: Any, args: Any, kwargs: dict[str, Any] | None, key: Any
    ) -> Any:
        """Answer an operator on shape tensors, from the memo where an equal call has been seen."""
        outcome = facts.outcomes.get(key) or self._outcome_of(facts, func, args, kwargs or {}, key)
        return self._repeat(facts, outcome, args, kwargs)

    def _outcome_of(self, facts: ShapeRunFacts, func: Any, args: Any, kwargs: dict[str, Any], key: Any) -> Outcome:
        outcome = memo.look_up(facts, key)
        if outcome is None:
            outcome = evaluate(facts, func, args, kwargs, self.known_values.spec_of)
            memo.remember(facts, key, outcome)
        return outcome

    def _repeat(self, facts: ShapeRunFacts, outcome: Outcome, args: Any, kwargs: dict[str, Any] | None) -> Any:
        """Do what an equal call did before."""
        if outcome.charges and self.ledger is not None:
            self._charge(self.ledger, outcome.charges)
        if facts.mutable_arguments:
            self._write(facts, args, kwargs or {}, outcome)
        result = outcome.result
        if type(result) is Spec:
            return self.new_tensor(result)
        return self._result_of(facts, outcome, args, kwargs)

    def _result_of(self, facts: ShapeRunFacts, outcome: Outcome, args: Any, kwargs: dict[str, Any] | None) -> Any:
        result = outcome.result
        if type(result) is Spec:
            return self.new_tensor(result)
        if type(result) is ArgumentAt and facts.mutable_arguments == (0,):
            return args[0]
        return build_result(result, self.new_tensor, args, kwargs or {})

    def _write(self, facts: ShapeRunFacts, args: Any, kwargs: dict[str, Any], outcome: Outcome) -> None:
        """Mark real tensors that are written into as unknown; give those that are resized other memory."""
        for target in self._mutated_tensors(facts, args, kwargs):
            if not is_reserved(target):
                self.storages.note_write(target)
                self.known_values.mark_unknown(target)
        # resize_ and set_ change the tensor that was given, so an equal call has to change its own.
        if outcome.changed_metadata:
            tensors = tensors_in(args, kwargs)
            for position, spec in outcome.changed_metadata:
                target, memory = tensors[position], storage_of(self.new_tensor(spec))
                if not is_reserved(target):
                    self.storages.note_exchange(target)
                    self.known_values.forget_spec(target)
                with torch.no_grad():
                    target.set_(memory, spec.offset, spec.shape, spec.stride)

    def _mutated_tensors(self, facts: ShapeRunFacts, args: Any, kwargs: dict[str, Any]) -> list[torch.Tensor]:
        targets = facts.mutated_tensors(args, kwargs)
        if self._trace is not None:
            self._trace.mutated.extend(targets)
        return targets

    def _charge(self, ledger: Ledger, charges: tuple[Charge, ...]) -> None:
        for name, macs in charges:
            ledger.charge(name, macs)
        if self._trace is not None:
            self._trace.charges.extend(charges)

    def _answer_known(self, facts: ShapeRunFacts, func: Any, args: Any, kwargs: dict[str, Any], key: Any) -> Any:
        """Answer an operator on tensors with known values: run it if its result is determined and small enough."""
        if facts.is_view or (facts.needs_values and not values.shapes_suffice(facts.name, args)):
            return self._run(facts, func, args, kwargs)
        if facts.is_random or facts.is_uninitialized:
            return self._answer_undetermined(facts, func, args, kwargs, key or self._key_of_known(args, kwargs))
        tensors = tensors_in(args, kwargs)
        numels = [tensor.numel() for tensor in tensors]
        work = sum(numels)
        if not facts.mutable_arguments and may_be_much(facts, tensors, numels):
            key = key or self._key_of_known(args, kwargs)
            outcome = facts.outcomes.get(key) or self._outcome_if_any(facts, func, args, kwargs, key)
            if outcome is not None:
                work += outcome.numel + outcome.macs
                if work > SMALL and not self._work.is_affordable(outcome, work):
                    return self._repeat(facts, outcome, args, kwargs)
        self._work.done += work
        return self._run(facts, func, args, kwargs, tensors)

    def _key_of_known(self, args: Any, kwargs: dict[str, Any]) -> Any:
        return self.known_values.call_key(args, kwargs, always=True)[1]

    def _outcome_if_any(
        self, facts: ShapeRunFacts, func: Any, args: Any, kwargs: dict[str, Any], key: Any
    ) -> Outcome | None:
        try:
            return self._outcome_of(facts, func, args, kwargs, key)
        except ShapeRunStop:
            return None  # there are values: let the operator itself answer

    def _run(
        self, facts: ShapeRunFacts, func: Any, args: Any, kwargs: dict[str, Any], own: Iterable[torch.Tensor] = ()
    ) -> Any:
        """Run an operator on real tensors, and count it; its result may share the data of its ``own`` arguments."""
        if facts.mutable_arguments:
            for target in self._mutated_tensors(facts, args, kwargs):
                self.storages.save_before_write(target)
        out = func(*args, **kwargs)
        if facts.creates_tensors:
            for tensor in (out,) if type(out) is torch.Tensor else tensors_in((out,), {}):
                self.storages.note_created(tensor, own)
        if self.ledger is not None and (facts.formula is not None or facts.is_unknown):
            self._charge(self.ledger, facts.charges(lambda: macs_of_call(facts, args, kwargs, out)))
        return out

    def _answer_undetermined(self, facts: ShapeRunFacts, func: Any, args: Any, kwargs: dict[str, Any], key: Any) -> Any:
        """Answer an operator whose result has no determined values: random numbers and uninitialized memory."""
        if facts.mutable_arguments:
            return self._answer_with_shapes(facts, func, args, kwargs, key)
        outcome = facts.outcomes.get(key) or self._outcome_of(facts, func, args, kwargs, key)
        if facts.is_uninitialized and outcome.numel <= SMALL:
            if outcome.numel == 0:
                return func(*args, **kwargs)
            # An index or a mask is often made empty and then filled, which makes its values known.
            if type(outcome.result) is Spec and not is_inexact(outcome.result.dtype):
                out = func(*args, **kwargs)
                self.storages.note_created(out, ())
                self.known_values.mark_unknown(out)
                return out
        return self._repeat(facts, outcome, args, kwargs)

    def _answer_from_values(self, facts: ShapeRunFacts, func: Any, args: Any, kwargs: dict[str, Any], key: Any) -> Any:
        """Answer an operator whose result follows from values, if those values are known."""
        known = self.known_values
        if facts.needs_values and not facts.mutable_arguments:
            tensors = tensors_in(args, kwargs)
            if not any(map(known.is_overwritten, tensors)):
                return func(*args, **kwargs)  # the value of a weight that nothing has written into
        if facts.mutable_arguments and known.mark_known_if_overwritten(args):
            return self._run(facts, func, args, kwargs)
        if facts.value_handler is not None:
            answer = facts.value_handler(args, kwargs, known.is_known)
            if answer is not None:
                with self:
                    return answer(func)
        if facts.needs_values and not values.shapes_suffice(facts.name, args):
            raise ShapeRunStop(facts.name)
        return self._answer_with_shapes(facts, func, args, kwargs, key)
