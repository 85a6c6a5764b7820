"""The fixture ``model_budget``: ``measure``, plus judgement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_modelbudget.budgets import BudgetError, Declaration, declared_limits
from pytest_modelbudget.measurement import TRAINING_METRICS, Measurement
from pytest_modelbudget.session.guarded import guarded_test
from pytest_modelbudget.session.places import place_of_call
from pytest_modelbudget.session.progress import narrated

_NEEDS = "the model was measured without inputs: pass args=, kwargs= or input_size="


class ModelBudget:
    """What the fixture ``model_budget`` is in one test."""

    def __init__(self, item: pytest.Item) -> None:
        self._guarded = guarded_test(item)
        self._guarded.uses_fixture = True
        self._closed = False

    def __call__(
        self,
        model: Any,
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        input_size: Any = None,
        name: str | None = None,
        backward: bool = False,
        **limits: Any,
    ) -> Measurement:
        """Return the measurement of ``model``, held against table, marks and ``limits``.

        Raises BudgetExceeded, BudgetError for a budget that cannot be checked, and whatever ``measure`` raises.
        """
        __tracebackhide__ = True
        call = self._declared(limits, name)
        inputs = {"args": args, "kwargs": kwargs, "input_size": input_size}
        measurement = self._measured(model, inputs, name, backward or self._limits_training(call))
        judged = self._guarded.judge(measurement, call)
        missing = {metric.metric for metric in judged.verdict.unchecked}
        if missing and missing <= {*TRAINING_METRICS} and measurement.macs is not None:
            # Only now is the name known that the project's table speaks of.
            self._guarded.judged.remove(judged)
            judged = self._guarded.judge(self._measured(model, inputs, name, True), call)
        problem = self._guarded.problem_with([judged], needs=_NEEDS)
        if problem is not None:
            self._guarded.remember(problem)
            raise problem
        return judged.measurement

    def __repr__(self) -> str:
        return "<model_budget>"

    def close(self) -> None:
        """Refuse further calls: there is no test left that they could fail."""
        self._closed = True

    def _declared(self, limits: dict[str, Any], name: str | None) -> Declaration:
        __tracebackhide__ = True
        try:
            place = place_of_call(2, self._guarded.item.config)
            if self._closed:
                raise BudgetError(f"model_budget was called at {place}, after its test had ended")
            also = ("args", "kwargs", "input_size", "name", "backward")
            return Declaration(place, declared_limits(limits, place, also), name=name)
        except BudgetError as error:
            self._guarded.remember(error)
            raise

    def _limits_training(self, call: Declaration) -> bool:
        declared = (*self._guarded.declarations, call)
        return any(one.limits.get(metric) for one in declared for metric in TRAINING_METRICS)

    def _measured(self, model: Any, inputs: dict[str, Any], name: str | None, backward: bool) -> Measurement:
        __tracebackhide__ = True
        session = self._guarded.session
        given = inputs["input_size"] is not None or inputs["kwargs"] or not _is_empty(inputs["args"])
        counting = session.counting()
        try:
            with narrated(session.config):
                measurement: Measurement = counting.measure(
                    model,
                    **inputs,
                    name=name,
                    backward=backward and bool(given),
                    flops_per_mac=session.table.flops_per_mac,
                )
        except counting.MeasurementError as error:
            self._guarded.remember(error)
            raise
        return measurement


def _is_empty(args: Any) -> bool:
    return isinstance(args, (tuple, list)) and not args
