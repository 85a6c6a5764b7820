"""One test under a budget: what its marks declare, what it measured, and what is wrong with it in the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pytest
from msgspec import structs

from pytest_modelbudget.budgets import (
    BudgetError,
    BudgetExceeded,
    Declaration,
    Place,
    Verdict,
    budget_for,
    declared_by_mark,
    judge,
)
from pytest_modelbudget.measurement import TRAINING_METRICS, Measurement
from pytest_modelbudget.session import GUARDED, SESSION
from pytest_modelbudget.session.blame import carries, excused_by_xfail
from pytest_modelbudget.session.obligations import swallowed, unmet
from pytest_modelbudget.session.places import place_of_mark, raise_at

_STOPPED = (KeyboardInterrupt, SystemExit, pytest.exit.Exception)
_NOT_APPLICABLE = (pytest.skip.Exception, pytest.xfail.Exception)


@dataclass(frozen=True, slots=True)
class Judged:
    """A measurement and the verdict on it."""

    verdict: Verdict
    measurement: Measurement
    original_name: str


def guard(item: pytest.Item) -> GuardedTest | None:
    """Put ``item`` under the budget that its marks declare, if any of them is ours.

    Raises BudgetError at the line of a malformed mark.
    """
    __tracebackhide__ = True
    guarded = item.stash[GUARDED] = GuardedTest(item)
    guarded.read_marks()
    if guarded.marked:
        return guarded
    del item.stash[GUARDED]
    return None


def guarded_test(item: pytest.Item) -> GuardedTest:
    """Return the state of ``item``, which may have no marks of ours."""
    guarded = item.stash.get(GUARDED, None)
    if guarded is None:
        guarded = item.stash[GUARDED] = GuardedTest(item)
    return guarded


class GuardedTest:
    """What one test declares, what it measured, and which failures of ours it must not lose.

    ``unseen`` are the excesses that were raised and that no report has shown yet; ``errors`` are the failures that
    ``xfail`` must not excuse; ``pending`` is a failure that another exception came before.
    """

    def __init__(self, item: pytest.Item) -> None:
        self.item = item
        self.session = item.config.stash[SESSION]
        self.declarations: list[Declaration] = []
        self.judged: list[Judged] = []
        self.uses_fixture = "model_budget" in getattr(item, "fixturenames", ())
        self.unseen: list[BudgetExceeded] = []
        self.errors: list[Exception] = []
        self.pending: Exception | None = None
        self.excused = False

    @property
    def marked(self) -> bool:
        """Whether any mark of the test is ours."""
        return bool(self.declarations)

    @property
    def place(self) -> Place:
        """The closest mark, or the test where it has none."""
        path, line, _ = self.item.location
        test = Place(path, None if line is None else line + 1)
        if not self.marked or self.declarations[-1].place.line is None:
            return test
        return self.declarations[-1].place

    def read_marks(self) -> None:
        """Parse the marks from the outermost to the closest; those of a parameter are closer than its function's."""
        __tracebackhide__ = True
        self.declarations.clear()
        of_parameter = getattr(getattr(self.item, "callspec", None), "marks", ())
        marks = reversed(list(self.item.iter_markers_with_node()))
        for node, mark in sorted(marks, key=lambda pair: any(pair[1] is one for one in of_parameter)):
            if mark.name not in ("budget", "modelbudget"):
                continue
            place = place_of_mark(mark, node)
            try:
                declaration = declared_by_mark(mark.name, mark.args, mark.kwargs, place)
                if declaration is not None and not self.uses_fixture:
                    _refuse_training(declaration)
            except BudgetError as error:
                self.fail(error, place)
            else:
                self.declarations += [declaration] if declaration else []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Observe the call of the test, and judge what it did when it ends."""
        __tracebackhide__ = True
        self.read_marks()  # again: fixtures may have added some
        observing = self.marked and not self.uses_fixture
        counting = self.session.counting() if observing else None
        raised: BaseException | None = None
        factor = self.session.table.flops_per_mac
        with counting.observe(flops_per_mac=factor) if counting else nullcontext() as observed:
            try:
                yield
            except _STOPPED:
                raise
            except BaseException as error:
                raised = error
        problem = self._problem(observed, raised)
        if problem is not None and (raised is None or isinstance(raised, pytest.skip.Exception)):
            self.fail(problem)
        if problem is None:
            problem = unmet(self)
            if problem is not None and raised is None:
                self.fail(problem)
        self.pending = problem
        if raised is not None:
            raise raised

    def judge(self, measurement: Measurement, *call: Declaration) -> Judged:
        """Hold a measurement against the limits of table, marks and call; the verdict is kept for the report."""
        original = measurement.name
        names = [one.name for one in (*self.declarations, *call) if one.name and one.selects(original, one.name)]
        if names:
            measurement = structs.replace(measurement, name=names[-1], named=True)
        table = self.session.table
        budget = budget_for(table, (measurement.name, original), (*self.declarations, *call))
        verdict = judge(measurement, budget, table)
        if self.item.config.get_verbosity() > 0:
            from pytest_modelbudget.reports.tree import described

            verdict = replace(verdict, tree=described(measurement))
        judged = Judged(verdict, measurement, original)
        self.judged.append(judged)
        return judged

    def problem_with(self, judged: Iterable[Judged], *, needs: str) -> Exception | None:
        """Return what is wrong with these verdicts, or ``None``; ``needs`` tells how to measure what was not."""
        judged = list(judged)
        verdicts = tuple(one.verdict for one in judged)
        if any(verdict.over for verdict in verdicts):
            from pytest_modelbudget.reports.message import exceeded

            return BudgetExceeded(exceeded((one.verdict, one.measurement) for one in judged), verdicts)
        from pytest_modelbudget.reports.message import unjudgeable

        text = unjudgeable(verdicts, needs)
        return BudgetError(text) if text else None

    def fail(self, error: Exception, place: Place | None = None) -> None:
        """Raise ``error`` at the closest mark, and remember that a report has to show it."""
        __tracebackhide__ = True
        self.remember(error)
        raise_at(error, place or self.place, self.item.config, self.item.name)

    def remember(self, error: Exception) -> None:
        """Note a failure that is about to be raised."""
        if isinstance(error, BudgetExceeded):
            self.unseen.append(error)
        else:
            self.errors.append(error)

    def refuse_swallowed(self) -> None:
        """Fail where an excess was raised and is nowhere to be seen."""
        __tracebackhide__ = True
        problem = self._swallowed(None)
        if problem is not None:
            self.fail(problem)

    def before_report(self, call: pytest.CallInfo[None]) -> None:
        """Add the properties for the JUnit file, which pytest copies while it makes the report."""
        from pytest_modelbudget.reports.junit import PREFIX, properties

        if call.when == "teardown" and self.item.config.getini("modelbudget_junit"):
            kept = [one for one in self.item.user_properties if not one[0].startswith(PREFIX)]
            self.item.user_properties[:] = [*kept, *properties(one.verdict for one in self.judged)]

    def after_report(self, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Take back what ``xfail`` must not excuse, and attach the verdicts as plain builtins."""
        raised = call.excinfo.value if call.excinfo else None
        self.unseen = [error for error in self.unseen if not _shows(raised, error)]
        if report.skipped and hasattr(report, "wasxfail"):
            unexcused = self._unexcused(raised)
            if unexcused is None:
                self.excused = True
            else:
                del report.wasxfail
                report.outcome = "failed"
                if unexcused is not raised:
                    report.longrepr = self.item.repr_failure(_as_raised(self, unexcused))
        if call.when == "teardown":
            import msgspec

            verdicts = [replace(one.verdict, excused=self.excused and bool(one.verdict.over)) for one in self.judged]
            report.modelbudget = msgspec.to_builtins(verdicts)  # type: ignore[attr-defined]  # reports are open

    def _problem(self, observed: Any, raised: BaseException | None) -> Exception | None:
        if observed is not None and not self.uses_fixture:
            if observed.faults:
                return BudgetError("; ".join(observed.faults))
            judged = [self.judge(measurement) for measurement in observed.measurements]
            problem = self.problem_with(judged, needs="observing runs no backward pass: use the model_budget fixture")
            if problem is not None:
                return problem
        return self._swallowed(raised)

    def _swallowed(self, raised: BaseException | None) -> Exception | None:
        lost = [error for error in self.unseen if not _shows(raised, error)]
        self.unseen.clear()
        return swallowed(lost[0]) if lost else None

    def _unexcused(self, raised: BaseException | None) -> Exception | None:
        """Return the failure that ``xfail`` was about to excuse and must not."""
        for error in self.errors:
            if carries(raised, error):
                return error
        if isinstance(raised, _NOT_APPLICABLE):
            return None
        if isinstance(self.pending, BudgetExceeded):
            return None if excused_by_xfail(self.item) else self.pending
        return self.pending


def _shows(raised: BaseException | None, error: BudgetExceeded) -> bool:
    """Tell whether a report about ``raised`` shows the excess; a skip hides what it was raised over."""
    return carries(raised, error) and not isinstance(raised, pytest.skip.Exception)


def _as_raised(guarded: GuardedTest, error: Exception) -> pytest.ExceptionInfo[BaseException]:
    try:
        raise_at(error, guarded.place, guarded.item.config, guarded.item.name)
    except Exception as raised:
        return pytest.ExceptionInfo.from_exception(raised)


def _refuse_training(declaration: Declaration) -> None:
    limited = [metric for metric in TRAINING_METRICS if declaration.limits.get(metric)]
    if limited:
        raise BudgetError(
            f"{limited[0]} at {declaration.place}: observing runs no backward pass; limits on training need the "
            "model_budget fixture"
        )
