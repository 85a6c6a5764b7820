"""The fixture ``model_budget``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelbudget.budgets import BudgetError, BudgetExceeded, Rules, rules_of_call
from pytest_modelbudget.measurement import Measurement, MeasurementError
from pytest_modelbudget.metrics import METRICS, Limits, Value, needing
from pytest_modelbudget.session.guarded import failure_of, guarded_by_fixture
from pytest_modelbudget.session.places import place_of_call
from pytest_modelbudget.session.progress import narrated

if TYPE_CHECKING:
    from torch import nn
    from typing_extensions import Unpack


_ARGUMENTS = ("args", "kwargs", "input_size", "method", "name", "backward")


class ModelBudget:
    """What the fixture ``model_budget`` is in one test: ``measure``, plus judgement."""

    def __init__(self, item: pytest.Item) -> None:
        self._guarded = guarded_by_fixture(item)
        self._guarded.record.requested_fixture = True
        self._closed = False

    def __call__(
        self,
        model: nn.Module | Callable[[], nn.Module],
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        input_size: Any = None,
        method: str = "forward",
        name: str | None = None,
        backward: bool = False,
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
        inputs = {"args": args, "kwargs": kwargs, "input_size": input_size, "method": method}
        try:
            rules = self._rules(limits, name)
            measurement = self._measure(model, inputs, name, rules, backward)
            problem = failure_of([self._guarded.judge(measurement, rules)])
            if problem is not None:
                raise problem
        except Exception as error:
            ours = _is_ours(error)
            self._guarded.record.fail(error, raised=True, excusable=None if ours else True)
            if ours:  # the traceback ends at the line of the call
                raise error.with_traceback(None) from error.__cause__
            raise
        return self._guarded.record.measured[-1].measurement

    def __repr__(self) -> str:
        return "<model_budget>"

    def close(self) -> None:
        """Refuse further calls: there is no test left that they could fail."""
        self._closed = True

    def _rules(self, limits: Mapping[str, object], name: str | None) -> Rules:
        __tracebackhide__ = True
        self._guarded.refresh()
        place = place_of_call(2, self._guarded.item.config)
        if self._closed:
            raise BudgetError(f"model_budget was called at {place}, after its test had ended")
        return rules_of_call(limits, place, name, also=_ARGUMENTS)

    def _measure(
        self, model: Any, inputs: dict[str, Any], name: str | None, call: Rules, backward: bool
    ) -> Measurement:
        """Measure the forward pass, and the backward too where it is asked for or limited."""
        __tracebackhide__ = True
        training = needing("backward")
        declared = (*self._guarded.contract.rules, call)
        limited = any(rules.limits.get(metric) for rules in declared for metric in training)
        has_inputs = inputs["input_size"] is not None or inputs["kwargs"] or not _is_empty(inputs["args"])
        measurement = self._run(model, inputs, name, bool(has_inputs) and (backward or limited))
        if measurement.macs is None or measurement.training_macs is not None:
            return measurement
        # Only now is the name known that the project's table speaks of.
        budget = self._guarded.budget(measurement, call)
        limited = any(metric in budget.limits or metric in budget.warns for metric in training)
        return self._run(model, inputs, name, True) if limited else measurement

    def _run(self, model: Any, inputs: dict[str, Any], name: str | None, backward: bool) -> Measurement:
        __tracebackhide__ = True
        session = self._guarded.session
        with narrated(session.config):
            measurement: Measurement = session.counting().measure(
                model, **inputs, name=name, backward=backward, flops_per_mac=session.table.flops_per_mac
            )
        return measurement


def _is_ours(error: Exception) -> bool:
    """Return whether the plugin raised ``error``; everything else is the model's own."""
    return isinstance(error, (BudgetExceeded, BudgetError, MeasurementError))


def _is_empty(args: Any) -> bool:
    return isinstance(args, (tuple, list)) and not args


def _with_limits(signature: inspect.Signature) -> inspect.Signature:
    """Return ``signature`` with every limit as a keyword of its own, for ``help()`` and editors."""
    keywords = [
        inspect.Parameter(metric, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Value) for metric in METRICS
    ]
    kept = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    return signature.replace(parameters=[*kept, *keywords])


ModelBudget.__call__.__signature__ = _with_limits(  # type: ignore[attr-defined]
    inspect.signature(ModelBudget.__call__)
)
