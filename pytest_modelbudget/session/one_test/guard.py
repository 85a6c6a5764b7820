"""The guard of one test under a budget: it sees what happens in each phase, and raises what was decided."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from msgspec import structs

from pytest_modelbudget.budgets import BudgetError, BudgetExceeded, Exponent, Rules
from pytest_modelbudget.measurement import Measurement
from pytest_modelbudget.metrics import needing
from pytest_modelbudget.reports.message import failure
from pytest_modelbudget.results import Result, TestResult, encode
from pytest_modelbudget.results.measured import judged
from pytest_modelbudget.session.one_test import GUARD, Phase
from pytest_modelbudget.session.one_test.contract import contract_of, rules_of
from pytest_modelbudget.session.one_test.deciding import GIVES_UP, Decision, Ending, decide
from pytest_modelbudget.session.one_test.record import Record
from pytest_modelbudget.session.one_test.source_lines import place_of_mark, raise_at
from pytest_modelbudget.session.pytest_private import (
    drop_own_exception,
    measures_in_teardown,
    own_exception,
    show_as_failed,
    watch_expected_failure,
    xfail_expects,
)
from pytest_modelbudget.session.state import SESSION


def guard_of(item: pytest.Item) -> Guard:
    """Return the guard of ``item``, which has one from here on."""
    if GUARD not in item.stash:
        item.stash[GUARD] = Guard(item)
    return item.stash[GUARD]


def guard_by_marks(item: pytest.Item) -> None:
    """Put ``item`` under the budget that its marks declare, if any of them is ours.

    Raises BudgetError at the line of a malformed mark.
    """
    __tracebackhide__ = True
    guard = guard_of(item)
    try:
        guard.contract = contract_of(item)
    except BudgetError as error:
        guard.fail(error)
    # All marks were another plugin's: the test is none of ours.
    if not guard.contract.rules and not guard.record.requested_fixture:
        del item.stash[GUARD]


def refuse(item: pytest.Item, node: Any, late: pytest.Mark) -> None:
    """Raise BudgetError for a mark that limits nothing, if it is ours, or malformed."""
    __tracebackhide__ = True
    # A malformed mark can only be ours.
    with suppress(BudgetError):
        if rules_of(node, late) is None:
            return
    error = BudgetError(
        f"{place_of_mark(late, node)}: a mark that is added when the call of the test has begun, or after "
        "model_budget has measured, limits nothing: add it while the test is set up, as a fixture does before "
        "its yield"
    )
    guard_of(item).fail(error)


class Guard:
    """Watches one test. What becomes of the test is decided elsewhere: see ``deciding``."""

    def __init__(self, item: pytest.Item) -> None:
        self.item = item
        self.session = item.config.stash[SESSION]
        self.contract = contract_of(item, reads_marks=False)
        self.record = Record()
        self._decision: Decision | None = None
        self._observation: Any = None
        self._must_measure_in_teardown = False  # for a fixture of the test does, and nothing was measured before
        self._ran_through = False  # the call came to its end, or to an excess, which ends it in every run
        self._was_skipped = False
        self._was_excused = False
        self._expected: BaseException | None = None
        watch_expected_failure(item, self._note_expected)

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Observe what the test runs, if its marks ask for that."""
        __tracebackhide__ = True
        if not self.contract.rules or self.contract.uses_fixture:
            yield
            return
        try:
            counting = self.session.engine()
        except BudgetError as error:
            self.fail(error)
        convention, memory = self.session.table.flops_per_mac, self._limits_memory()
        with counting.observe(flops_per_mac=convention, memory=memory) as self._observation:
            yield

    def _limits_memory(self) -> bool:
        table = self.session.table
        rules = (*self.contract.rules, table.default, *table.models.values())
        limited = {metric for declared in rules for metric, limit in declared.limits.items() if limit}
        return not limited.isdisjoint(needing("memory", "cache"))

    def end(self, phase: Phase, raised: BaseException | None) -> None:
        """Raise what the test has to fail with at the end of a phase, instead of what it raised.

        What a setup lost that did not fail is decided on at the end of the call.
        """
        __tracebackhide__ = True
        if phase == "setup" and raised is None:
            return
        # A test that asked for the fixture in its body measures by itself: what was observed beside it does not count.
        if phase == "call" and self._observation is not None and not self.record.requested_fixture:
            self._judge_observed()
        ending = self._ending_of_call(raised) if phase == "call" else self._ending(raised)
        self._decision = self._decide(ending)
        error = self._decision.error
        if error is not None and error is not raised:
            drop_own_exception(self.item)  # which pytest would report instead
            self.fail(error)

    def report(self, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Take back an xfail that excuses what none may, and attach what the test found to its last report.

        A report that comes without a decision is that of a subtest, whose test goes on: what failed in it is decided on
        here, for the test itself does not raise it again.
        """
        decision, self._decision = self._decision, None
        is_expected = hasattr(report, "wasxfail")
        if decision is None and call.excinfo is not None and (report.failed or is_expected):
            decision = self._decide(self._ending(call.excinfo.value))
        # pytest has applied the xfail by now, whatever was raised; only here can it be taken back.
        if is_expected and decision is not None and decision.verdict == "fail":
            show_as_failed(report)
        # Read again: the lines above may have removed it.
        self._was_excused |= hasattr(report, "wasxfail")
        self._was_skipped |= report.skipped
        if call.when == "teardown":
            report.modelbudget = encode(self._result())  # type: ignore[attr-defined]  # reports are open

    def judge(
        self,
        found: Sequence[Measurement],
        *call: Rules,
        modules: Sequence[int] = (),
        exponents: Mapping[str, Exponent] | None = None,
        sizes: Sequence[int] = (),
    ) -> Exception | None:
        """Hold measurements against their budget, keep the verdicts, and return the failure if any has an error.

        ``modules`` numbers the module objects that were measured, and ``sizes`` are those of the inputs, over which
        the growth is held against ``exponents``.
        """
        session, points = self.session, [*zip(sizes, found, strict=False)]
        measured = [
            judged(
                measurement,
                session.table,
                (*self.contract.rules, *call),
                lock=session.lock,
                accepts=session.config.getoption("modelbudget_update") == "all",
                exponents=exponents,
                points=points,
                module=module,
            )
            for measurement, module in zip(found, modules or [0] * len(found), strict=True)
        ]
        self.record.measured += measured
        verdicts = tuple(each.verdict for each in measured)
        if not any(verdict.errors for verdict in verdicts):
            return None
        shown = [(each.verdict, each.measurement, each.differences) for each in measured]
        message = failure(shown, self.record.outside)
        is_over = any(verdict.excusable for verdict in verdicts)
        return BudgetExceeded(message, verdicts) if is_over else BudgetError(message)

    def fail(self, error: Exception) -> NoReturn:
        """Raise ``error`` where it was declared."""
        __tracebackhide__ = True
        self.record.fail(error)
        place = error.place if isinstance(error, BudgetError) else None
        raise_at(error, place or self.contract.place, self.item.config, self.item.name)

    def _decide(self, ending: Ending) -> Decision:
        decision = decide(self.contract, self.record, ending)
        if decision.error is not None:
            self.record.fail(decision.error)
        # The end of a later phase must not report the same failures once more.
        self.record.decided = len(self.record.failures)
        return decision

    def _judge_observed(self) -> None:
        seen = self._observation
        self.record.traced_under |= seen.traced_under
        self.record.outside += seen.outside + seen.unknown_outside
        if seen.faults:
            self.record.fail(BudgetError("; ".join(seen.faults)), raised=False)
            return
        calls = [(number, call) for number, calls in enumerate(seen.models.calls()) for call in calls]
        problem = self.judge([call for _, call in calls], modules=[number for number, _ in calls])
        if problem is not None:
            self.record.fail(problem, raised=False)

    def _note_expected(self, raised: BaseException) -> None:
        self._expected = raised

    def _ending(self, raised: BaseException | None) -> Ending:
        """Return how a phase ended, or a subtest in it."""
        if isinstance(raised, pytest.xfail.Exception):  # which pytest raises for unittest's expectedFailure too
            return Ending(raised if self._expected is None else self._expected, expects_excess=True)
        fails = raised is not None and not isinstance(raised, GIVES_UP) and not xfail_expects(self.item, raised)
        excesses = (failure.error for failure in self.record.undecided if isinstance(failure.error, BudgetExceeded))
        expects_excess = all(xfail_expects(self.item, error) for error in excesses)
        return Ending(raised, fails, expects_excess, must_measure=self._must_measure_in_teardown)

    def _ending_of_call(self, raised: BaseException | None) -> Ending:
        ending = self._ending(own_exception(self.item) if raised is None else raised)
        gives_up = isinstance(ending.raised, GIVES_UP)
        fails = ending.fails or ((ending.raised is None or gives_up) and _has_failed_softly())
        must_measure = not fails and not gives_up
        if must_measure and self.record.never_called_fixture and measures_in_teardown(self.item):
            must_measure, self._must_measure_in_teardown = False, True
        self._ran_through = ending.raised is None or isinstance(ending.raised, BudgetExceeded)
        return replace(ending, fails=fails, must_measure=must_measure)

    def _result(self) -> TestResult:
        found = tuple(
            Result.of(measured.verdict, measured.measurement, measured.differences) for measured in self.record.measured
        )
        return TestResult(
            found,
            excused=self._was_excused,
            # A test that skips itself after it has measured everything still counts as measured.
            skipped=self._was_skipped and not (found and self._ran_through),
            unused=self._ran_through and self.record.never_called_fixture,
            outside=tuple(self.record.outside),
            failure="" if self._was_excused else self.record.first_failure,
            marks=tuple(structs.replace(mark, met=self.record.meets(rules)) for mark, rules in self.contract.shared),
        )


def _has_failed_softly() -> bool:
    """Return whether a check of pytest-check has failed in the running test, which goes on and fails at its end."""
    pytest_check = sys.modules.get("pytest_check")
    return pytest_check is not None and bool(pytest_check.any_failures())
