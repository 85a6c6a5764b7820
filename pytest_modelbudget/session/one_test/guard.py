"""One test under a budget: its contract and its record, adapted to the hooks of pytest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from operator import is_
from typing import Any, NoReturn

import pytest
from msgspec import structs

from pytest_modelbudget.budgets import (
    Baseline,
    Budget,
    BudgetError,
    BudgetExceeded,
    Exponent,
    Place,
    Rules,
    budget_for,
    judge,
    judge_scaling,
)
from pytest_modelbudget.measurement import Measurement
from pytest_modelbudget.results import Result, TestResult, encode
from pytest_modelbudget.results.baseline import LockedModel
from pytest_modelbudget.results.difference import differences
from pytest_modelbudget.session.one_test.contract import Contract, contract_of
from pytest_modelbudget.session.one_test.deciding import (
    GIVEN_UP,
    Outcome,
    conclude,
    conclude_teardown,
    failure_of,
    lost_failure,
)
from pytest_modelbudget.session.one_test.other_plugins import has_failed_softly
from pytest_modelbudget.session.one_test.record import Measured, Record
from pytest_modelbudget.session.one_test.source_lines import raise_at
from pytest_modelbudget.session.pytest_private import (
    drop_own_exception,
    has_failed_subtests,
    measures_in_teardown,
    own_exception,
    say_once,
    show_as_failed,
    watch_expected_failure,
    xfail_expects_excess,
)
from pytest_modelbudget.session.state import AT_END, GUARD, SESSION, our_marks

_STOPPED = (KeyboardInterrupt, pytest.exit.Exception)


def guarded_by_marks(item: pytest.Item) -> GuardedTest | None:
    """Put ``item`` under the budget that its marks declare, if any of them is ours.

    Raises BudgetError at the line of a malformed mark.
    """
    __tracebackhide__ = True
    guarded = _guarded(item)
    if guarded.contract.marked:
        return guarded
    del item.stash[GUARD]
    return None


def guarded_by_fixture(item: pytest.Item) -> GuardedTest:
    """Return the guard of a test that uses the fixture; it may have no marks of ours."""
    __tracebackhide__ = True
    guard = item.stash.get(GUARD, None)
    return guard if isinstance(guard, GuardedTest) else _guarded(item)


def _guarded(item: pytest.Item) -> GuardedTest:
    __tracebackhide__ = True
    guarded = item.stash[GUARD] = GuardedTest(item)
    guarded.read_marks()
    return guarded


class GuardedTest:
    """The guard of one test. It finds out what happens and raises what follows; what follows is decided elsewhere."""

    def __init__(self, item: pytest.Item) -> None:
        __tracebackhide__ = True
        self.item = item
        self.session = item.config.stash[SESSION]
        self.contract = Contract.without_marks(item)
        self.record = Record()
        self._expected: BaseException | None = None
        watch_expected_failure(item, self._note_expected)

    def read_marks(self) -> None:
        """Read the contract, and raise BudgetError at the line of a malformed mark."""
        __tracebackhide__ = True
        try:
            self.refresh()
        except BudgetError as error:
            self.fail(error)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Observe the call of the test, and fail if it has to when it ends."""
        __tracebackhide__ = True
        self.read_marks()
        observing = self.contract.marked and not self.contract.uses_fixture
        try:
            counting = self.session.counting() if observing else None
        except BudgetError as error:
            self.fail(error)
        raised: BaseException | None = None
        convention = {"flops_per_mac": self.session.table.flops_per_mac}
        with counting.observe(**convention) if counting else nullcontext() as observed:
            try:
                yield
            except _STOPPED:
                raise
            except BaseException as error:
                raised = error
        self._conclude(raised, observed)
        if raised is not None:
            raise raised

    def after_call(self) -> None:
        """Fail if a test has to that came under a budget only while it was called."""
        __tracebackhide__ = True
        self.record.unobserved = True
        self._conclude(None)

    def after_teardown(self) -> None:
        """Fail if something was lost in teardown, or has not come by its end."""
        __tracebackhide__ = True
        lost = conclude_teardown(self.contract, self.record)
        if lost is not None:
            self.fail(lost)

    def after_report(self, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Show as failed what nothing may excuse, and attach what the test found to its last report."""
        raised = call.excinfo.value if call.excinfo else None
        self.record.skipped |= report.skipped
        if call.when == "call" and raised is None:  # a hook between may have caught what left the call
            self.record.leave(False)
        expected = hasattr(report, "wasxfail")
        if not report.failed and (raised is not None or expected):
            outcome = self._outcome(raised, xfail_expects_excess(self.item))
            error = (
                lost_failure(self.record, replace(outcome, after_call=True))
                if call.when == "teardown"
                else conclude(self.contract, self.record, outcome)
            )
            if error is not None:
                if not self.record.failures:
                    self.record.fail(error, raised=True)
                show_as_failed(report, None if error is raised else self.item.repr_failure(self._as_raised(error)))
                say_once(report)
            else:
                self.record.excused |= expected
        if raised is not None or report.failed:
            self.record.settle()
        if call.when == "teardown":
            found = tuple(Result.of(one.verdict, one.measurement, one.differences) for one in self.record.measured)
            skipped = self.record.skipped and not (found and self.record.ran_through)
            outside = tuple(self.record.outside)
            failure = "" if self.record.excused else self.record.first_failure
            marks = tuple(structs.replace(mark, met=self.record.meets(rules)) for mark, rules in self.contract.shared)
            result = TestResult(
                found, self.record.excused, skipped, self.record.unused_fixture, outside, failure, marks
            )
            self.session.found[report.nodeid] = report.modelbudget = encode(result)  # type: ignore[attr-defined]

    def refresh(self) -> None:
        """Read the marks again if there are others by now: fixtures, hooks and the test itself may add some.

        Raises BudgetError for a malformed mark.
        """
        __tracebackhide__ = True
        marks = tuple(our_marks(self.item))
        if len(marks) != len(self.contract.marks) or not all(map(is_, marks, self.contract.marks)):
            self.contract = contract_of(self.item)

    def named(self, measurement: Measurement, *call: Rules) -> Measurement:
        """Return ``measurement`` under the name that marks and call give it."""
        declared = (*self.contract.rules, *call)
        names = [one.name for one in declared if one.name and one.selects(measurement.name, one.name)]
        return structs.replace(measurement, name=names[-1], named=True) if names else measurement

    def budget(self, measurement: Measurement, *call: Rules) -> Budget:
        """Return the budget for a measurement: the limits of table, marks and call."""
        names = (self.named(measurement, *call).name, measurement.name)
        return budget_for(self.session.table, names, (*self.contract.rules, *call))

    def judge(
        self,
        measurement: Measurement,
        *call: Rules,
        exponents: Mapping[str, Exponent] | None = None,
        points: Sequence[tuple[int, Measurement]] = (),
        module: int = 0,
    ) -> Measured:
        """Hold a measurement against its budget, and the growth over ``points`` against exponents.

        The verdict is kept for the report. ``module`` numbers the module objects that a test calls.
        """
        named = self.named(measurement, *call)
        budget = self.budget(measurement, *call)
        baseline, before = self._baseline(named)
        if before and baseline and any(part.growths for part in budget.parts.values()):
            modules = before.measurement(named.name, named.flops_per_mac).modules
            baseline = structs.replace(baseline, modules={module.name: module.total for module in modules.walk()})
        verdict = judge(named, budget, self.session.table, baseline)
        if exponents:
            verdict = judge_scaling(verdict, exponents, points, last=measurement is points[-1][1])
        changed = any(check.before not in (None, check.value) for check in verdict.checks)
        why = differences(before.measurement(named.name, named.flops_per_mac), named) if before and changed else ()
        measured = Measured(verdict, named, measurement.name, why, module)
        self.record.measured.append(measured)
        self.record.judged_under = list(self.contract.marks)
        return measured

    def _baseline(self, measurement: Measurement) -> tuple[Baseline | None, LockedModel | None]:
        """Return what the project's baseline says of a measurement, if there is one, and what it holds of it."""
        lock, updates = self.session.lock, self.item.config.getoption("modelbudget_update")
        if lock is None:
            return None, None
        before = lock.find(measurement) if measurement.named else None
        return Baseline(before.metrics if before else {}, accepts=updates == "all"), before

    def _note_expected(self, raised: BaseException) -> None:
        self._expected = raised

    def _conclude(self, raised: BaseException | None, observed: Any = None) -> None:
        """Raise what the test has to fail with at the end of its call, unless it fails by itself."""
        __tracebackhide__ = True
        try:
            self.refresh()
        except BudgetError as error:
            self.record.fail(error, raised=False)
        else:
            if self.record.measured:
                self.item.stash[AT_END] = self.record.judged_under
        if observed is not None and not self.record.requested_fixture:
            self._judge_observed(observed)
        outcome = self._outcome(own_exception(self.item) if raised is None else raised, False)
        outcome = replace(outcome, fails=self._fails(outcome), failed_in_part=has_failed_subtests(self.item))
        self.record.ran_through = outcome.raised is None or isinstance(outcome.raised, BudgetExceeded)
        left = conclude(self.contract, self.record, outcome)
        if left is not None and self.record.never_called_fixture and measures_in_teardown(self.item):
            self.record.postponed, left = True, None
        if left is not None:
            drop_own_exception(self.item)
            self.fail(left)
        if outcome.raised is not None:
            self.record.leave()

    def _judge_observed(self, observed: Any) -> None:
        problem: Exception | None
        self.record.traced_under |= observed.traced_under
        self.record.outside += observed.outside + observed.unknown_outside
        if observed.faults:
            problem = BudgetError("; ".join(observed.faults))
        else:
            calls = [(number, call) for number, calls in enumerate(observed.models.calls()) for call in calls]
            measured = [self.judge(call, module=number) for number, call in calls]
            problem = failure_of(measured, self.record.outside)
        if problem is not None:
            self.record.fail(problem, raised=False)

    def _outcome(self, raised: BaseException | None, expects_excess: bool) -> Outcome:
        if not isinstance(raised, pytest.xfail.Exception):
            return Outcome(raised, False, expects_excess)
        return Outcome(raised if self._expected is None else self._expected, False, True)

    def _fails(self, outcome: Outcome) -> bool:
        """Return whether the test fails by itself, as far as that is known before its report."""
        raised = outcome.raised
        if raised is None or isinstance(raised, GIVEN_UP):
            return has_failed_softly()
        return raised is not self._expected

    def fail(self, error: Exception, *, leaves_call: bool = True) -> NoReturn:
        """Raise ``error`` where it was declared, and remember that a report has to show it."""
        __tracebackhide__ = True
        self.record.settle()
        self.record.fail(error, raised=True)
        if leaves_call:
            self.record.leave()
        raise_at(error, self._place(error), self.item.config, self.item.name)

    def _place(self, error: Exception) -> Place:
        place = error.place if isinstance(error, BudgetError) else None
        return self.contract.place if place is None else place

    def _as_raised(self, error: Exception) -> pytest.ExceptionInfo[BaseException]:
        try:
            raise_at(error, self._place(error), self.item.config, self.item.name)
        except Exception as raised:
            return pytest.ExceptionInfo.from_exception(raised)
