"""What has happened in one test so far: what was measured, and what failed. Nothing is ever taken out of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pytest_modelbudget.budgets import BudgetExceeded, Rules, Verdict
from pytest_modelbudget.measurement import Measurement, ModuleCost, OperatorCost
from pytest_modelbudget.results.difference import Difference


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement and the verdict on it.

    ``original_name`` is what the model was called before a mark named it, ``differences`` what changed since the
    baseline. ``module`` numbers the module objects that a test calls: one may have several measurements.
    """

    verdict: Verdict
    measurement: Measurement
    original_name: str
    differences: tuple[Difference, ...] = ()
    module: int = 0

    def parts(self) -> Iterator[ModuleCost]:
        """Return the model and all its modules."""
        return self.measurement.modules.walk()


@dataclass(slots=True)
class Failure:
    """A failure that no test may lose.

    ``raised`` tells whether it has been raised: what observing found is raised only where the test itself raises
    nothing. ``excusable`` tells whether xfail may expect it; ``left`` whether it left the call of the test, so that
    whoever makes the report knows of it; ``shown`` whether a report has failed since.
    """

    error: Exception
    raised: bool
    excusable: bool
    left: bool = False
    shown: bool = False


@dataclass(slots=True)
class Record:
    """The measurements and failures of one test, in the order in which they came.

    ``outside`` are the operators with MACs, or without a formula, that ran outside of any module. ``traced_under`` are
    the modes under which modules ran without data. ``ran_through``: the call of the test came to its end, or to an
    excess, which ends it in every run. ``unobserved``: it came under a budget when its call had begun.
    ``judged_under`` are the marks when the latest measurement was judged. ``postponed``: whether it measures anything
    is known when its fixtures have ended.
    """

    measured: list[Measured] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    outside: list[OperatorCost] = field(default_factory=list)
    traced_under: set[str] = field(default_factory=set)
    requested_fixture: bool = False
    postponed: bool = False
    excused: bool = False
    skipped: bool = False
    ran_through: bool = False
    unobserved: bool = False
    judged_under: list[pytest.Mark] = field(default_factory=list)

    def meets(self, rules: Rules) -> bool:
        """Return whether any model was measured that a mark with these rules speaks of."""
        return any(rules.selects(one.verdict.model, one.original_name) for one in self.measured)

    @property
    def never_called_fixture(self) -> bool:
        """Whether the test asked for the fixture, and neither measured with it nor failed to."""
        return self.requested_fixture and not self.measured and not self.failures

    @property
    def unused_fixture(self) -> bool:
        """Whether a test that came to its end asked for the fixture in vain."""
        return self.ran_through and self.never_called_fixture

    @property
    def first_failure(self) -> str:
        """What the first failure says, if there is one."""
        if not self.failures:
            return ""
        error = self.failures[0].error
        return f"{type(error).__name__}: {error}"

    def fail(self, error: Exception, *, raised: bool, excusable: bool | None = None) -> None:
        """Note a failure; unless told otherwise, an excess is the only one that is excusable, and only by itself."""
        if excusable is None:
            excusable = isinstance(error, BudgetExceeded) and all(
                problem.is_excusable for verdict in error.verdicts for problem in verdict.errors
            )
        self.failures.append(Failure(error, raised, excusable))

    def leave(self, left: bool = True) -> None:
        """Note whether the call of the test ends with an exception that shows what was recorded so far."""
        for failure in self.failures:
            failure.left = left

    def settle(self) -> None:
        """Note that a report shows the test as failed: what was recorded so far has had its effect."""
        for failure in self.failures:
            failure.shown = True
