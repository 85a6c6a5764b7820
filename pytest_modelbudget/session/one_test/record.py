"""What has happened in one test so far: what was measured, and what failed. Nothing is ever taken out of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_modelbudget.budgets import Rules
from pytest_modelbudget.measurement import OperatorCost
from pytest_modelbudget.results.measured import Measured


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that no test may lose; what observing found has not been ``raised`` yet."""

    error: Exception
    raised: bool = True


@dataclass(slots=True)
class Record:
    """The measurements and failures of one test, in the order in which they came.

    ``decided`` counts the failures that the end of a phase has decided on. ``outside`` are the operators with MACs, or
    without a formula, that ran outside of any module. ``traced_under`` are the modes under which modules ran without
    data.
    """

    measured: list[Measured] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    decided: int = 0
    outside: list[OperatorCost] = field(default_factory=list)
    traced_under: set[str] = field(default_factory=set)
    requested_fixture: bool = False

    def fail(self, error: Exception, *, raised: bool = True) -> None:
        """Note a failure, if it is not known yet."""
        if not any(failure.error is error for failure in self.failures):
            self.failures.append(Failure(error, raised))

    @property
    def undecided(self) -> list[Failure]:
        """The failures since the last decision."""
        return self.failures[self.decided :]

    @property
    def first_failure(self) -> str:
        """What the first failure says, if there is one."""
        error = self.failures[0].error if self.failures else None
        return "" if error is None else f"{type(error).__name__}: {error}"

    @property
    def never_called_fixture(self) -> bool:
        """Whether the test asked for the fixture, and neither measured with it nor failed to."""
        return self.requested_fixture and not self.measured and not self.failures

    def meets(self, rules: Rules) -> bool:
        """Return whether any model was measured that a mark with these rules speaks of."""
        return any(rules.selects(found.verdict.model, found.original_name) for found in self.measured)
