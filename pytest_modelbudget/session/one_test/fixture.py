"""The fixture ``model_budget``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelbudget.budgets import BudgetError, DeclaredModel, Exponent, Rules, rules_of_call, scaling_of_call
from pytest_modelbudget.factories import FactoryError, example_inputs, optimizer_maker
from pytest_modelbudget.measurement import Measurement
from pytest_modelbudget.metrics import METRICS, Limits, Value, needing
from pytest_modelbudget.results.measured import budget_of
from pytest_modelbudget.session.one_test import read_marks
from pytest_modelbudget.session.one_test.deciding import OURS
from pytest_modelbudget.session.one_test.guard import guard_of
from pytest_modelbudget.session.one_test.progress import narrated
from pytest_modelbudget.session.one_test.record import Record
from pytest_modelbudget.session.one_test.source_lines import place_of_call
from pytest_modelbudget.specs import Inputs, cache_sizes, parse_inputs

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn
    from torch.export import ExportedProgram
    from typing_extensions import Unpack


_ARGUMENTS = (
    "args",
    "kwargs",
    "inputs",
    "method",
    "name",
    "train",
    "dtype",
    "backward",
    "memory",
    "ranks",
    "optimizer",
    "cache",
    "input_size",
)


class ModelBudget:
    """What the fixture ``model_budget`` is in one test: ``measure``, plus judgement."""

    def __init__(self, item: pytest.Item) -> None:
        import pytest_modelbudget.counting  # noqa: F401 - hypothesis gives a call 200 ms, and this takes seconds

        self._guard = guard_of(item)
        self._guard.record.requested_fixture = True
        self._closed = False

    def __call__(
        self,
        model: nn.Module | Callable[[], nn.Module] | ExportedProgram | Path,
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        inputs: Any = None,
        method: str = "forward",
        name: str | None = None,
        train: bool | None = None,
        dtype: Any = None,
        backward: bool = False,
        memory: bool = False,
        ranks: int | None = None,
        cache: int | None = None,
        optimizer: Any = None,
        input_size: Any = None,
        **limits: Unpack[Limits],
    ) -> Measurement:
        """Measure ``model`` and hold it against the limits of table, marks and this call.

        The arguments before ``limits`` are those of :func:`pytest_modelbudget.measure`. Each limit is an int, a
        string such as ``"4.1G"``, or None to lift an inherited one; a limit on training runs a backward pass.

        :return: the measurement: exact integers, its module tree and its operators.
        :raises BudgetExceeded: naming every metric that is over.
        :raises BudgetError: for a malformed limit, and one that could not be checked.

        Whatever ``measure`` raises is raised unchanged.
        """
        __tracebackhide__ = True
        given = {"args": args, "kwargs": kwargs, "inputs": inputs, "input_size": input_size}
        with _Recorded(self._guard.record):
            rules = self._rules_of_call(limits, name)
            call = {**given, "method": method, "train": train, "dtype": dtype, "memory": memory, "ranks": ranks}
            call |= {"optimizer": optimizer, "cache": cache}
            return self._judge(model, [call], name, rules, backward)[0]

    def scaling(
        self,
        model: nn.Module | Callable[[], nn.Module],
        inputs: Any,
        *,
        method: str = "forward",
        name: str | None = None,
        backward: bool = False,
        **exponents: str | float,
    ) -> tuple[Measurement, ...]:
        """Measure ``model`` at each size of a range, and hold the growth of its metrics against exponents.

        ``inputs`` are input specs of which one has a range, ``"1x{128,256,512} int64"``, or a list or dict of them.
        Each exponent, by metric, is constant, linear, quadratic, cubic, or a number: the steepest growth allowed of the
        power law that is fitted by least squares. The limits of table and marks hold at each size.

        :return: the measurement at each size.
        :raises BudgetExceeded: for a metric that grows more steeply, with its value at each size.
        :raises BudgetError: for inputs without a range, and a malformed exponent.
        """
        __tracebackhide__ = True
        with _Recorded(self._guard.record):
            rules = self._rules_of_call({}, name)
            steps, allowed = scaling_of_call(inputs, exponents, rules.place)
            sized = [{"inputs": step, "method": method} for step in steps.each()]
            return self._judge(model, sized, name, rules, backward, allowed, steps.sizes)

    def declared(self, how: DeclaredModel, model: Callable[[], nn.Module] | Path, folder: Path) -> None:
        """Measure a model that the table declares, at each size of its inputs, and hold it against its budget."""
        __tracebackhide__ = True
        with _Recorded(self._guard.record):
            rules = self._rules_of_call({}, how.name)
            inputs = None if how.inputs is None else parse_inputs(how.inputs)
            cached = [] if how.cache is None else cache_sizes(how.cache)
            calls = _calls_of(how, inputs, folder)
            calls = [{**call, "cache": tokens} for call in calls for tokens in cached] or calls
            sizes = inputs.sizes if inputs and inputs.sizes else cached if len(cached) > 1 else ()
            self._judge(model, calls, how.name, rules, how.backward, how.scaling, sizes)

    def __repr__(self) -> str:
        return "<model_budget>"

    def close(self) -> None:
        """Refuse further calls: there is no test left that they could fail."""
        self._closed = True

    def _rules_of_call(self, limits: Mapping[str, object], name: str | None) -> Rules:
        __tracebackhide__ = True
        # Two frames up is the line in the test: this method, then __call__, scaling or declared.
        place = place_of_call(2, self._guard.item.config)
        if self._closed:
            raise BudgetError(f"model_budget was called at {place}, after its test had ended")
        read_marks(self._guard.item)
        return rules_of_call(limits, place, name, also=_ARGUMENTS)

    def _judge(
        self,
        model: Any,
        calls: Sequence[Mapping[str, Any]],
        name: str | None,
        rules: Rules,
        backward: bool,
        exponents: Mapping[str, Exponent] | None = None,
        sizes: Sequence[int] = (),
    ) -> tuple[Measurement, ...]:
        """Measure the model for each of ``calls``, and raise BudgetExceeded or BudgetError for what it costs."""
        __tracebackhide__ = True
        backward = backward or any(metric in needing("backward") for metric in exponents or ())
        found = [self._measure(model, call, name, rules, backward) for call in calls]
        problem = self._guard.judge(found, rules, exponents=exponents, sizes=sizes)
        if problem is not None:
            raise problem
        return tuple(measured.measurement for measured in self._guard.record.measured[-len(found) :])

    def _measure(
        self, model: Any, call: Mapping[str, Any], name: str | None, rules_of_call: Rules, backward: bool
    ) -> Measurement:
        """Measure the forward pass, and whatever else is asked for or limited."""
        __tracebackhide__ = True
        rules = (*self._guard.contract.rules, rules_of_call)
        limited = {metric for declared in rules for metric, limit in declared.limits.items() if limit}
        needs = {METRICS[metric].needs for metric in limited} | ({"backward"} if backward else set())
        measurement = self._run(model, call, name, needs)
        # A factory has no name before it is built, and the table speaks of names: so it may be run a second time.
        more = {METRICS[metric].needs for metric in budget_of(self._guard.session.table, measurement, rules).wanted}
        more &= {"saving", *(["backward", "memory", "saved", "cache"] if measurement.macs is not None else [])}
        return measurement if more <= needs else self._run(model, call, name, needs | more)

    def _run(self, model: Any, call: Mapping[str, Any], name: str | None, needs: Collection[str]) -> Measurement:
        __tracebackhide__ = True
        session = self._guard.session
        with narrated(session.config):
            measurement: Measurement = session.engine().measure_also(
                "saving" in needs,
                model,
                **{**call, "memory": call.get("memory", False) or not {"memory", "saved", "cache"}.isdisjoint(needs)},
                name=name,
                backward=not {"backward", "saved"}.isdisjoint(needs),
                flops_per_mac=session.table.flops_per_mac,
            )
        return measurement


class _Recorded:
    """Records what fails inside; the traceback of our own failures ends at the line of the call.

    A class, because a generator under ``contextmanager`` would get its old traceback back.
    """

    def __init__(self, record: Record) -> None:
        self._record = record

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        __tracebackhide__ = True
        if isinstance(error, Exception):
            self._record.fail(error)
        if isinstance(error, OURS):
            raise error.with_traceback(None) from error.__cause__


def _calls_of(how: DeclaredModel, inputs: Inputs | None, folder: Path) -> list[dict[str, Any]]:
    """Return the calls of a declared model, one for each size of its inputs, as arguments of ``measure``.

    Raises BudgetError where the inputs are those of a function that cannot be imported.
    """
    keys = ("method", "train", "dtype", "memory", "ranks")
    common: dict[str, Any] = {key: getattr(how, key) for key in keys}
    try:
        common["optimizer"] = how.optimizer and optimizer_maker(how.optimizer, folder)
    except FactoryError as error:
        raise BudgetError(str(error)) from None
    if inputs is None:
        return [common]
    if not inputs.function:
        return [{"inputs": step, **common} for step in inputs.each()]
    try:
        args, kwargs = example_inputs(inputs.function, folder)
    except FactoryError as error:
        raise BudgetError(str(error)) from None
    return [{"args": args, "kwargs": kwargs, **common}]


def _with_limits(signature: inspect.Signature) -> inspect.Signature:
    """Return ``signature`` with every limit as a keyword of its own, for ``help()`` and editors."""
    keywords = [
        inspect.Parameter(metric, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Value) for metric in METRICS
    ]
    kept = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    return signature.replace(parameters=[*kept, *keywords])


ModelBudget.__call__.__signature__ = _with_limits(  # type: ignore[attr-defined]
    inspect.signature(ModelBudget.__call__)
)
