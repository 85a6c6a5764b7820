"""What is wrong with a run beside its models, said once for every surface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pytest_modelbudget.budgets import Place
from pytest_modelbudget.reports.message import contradiction, unmeasured_entry
from pytest_modelbudget.reports.wording import counted
from pytest_modelbudget.results import Run


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that fails a run, what it is about, and where that stands; the first line says what is wrong."""

    kind: Literal["lost worker", "internal error", "stale", "mark", "name", "failed", "hidden", "prune"]
    about: str
    place: Place
    message: str

    @property
    def name(self) -> str:
        """The name of the failed item."""
        return f"{self.kind} {self.about}".rstrip()

    @property
    def headline(self) -> str:
        """What is wrong, in one line."""
        return self.message.partition("\n")[0]


def faults(run: Run) -> list[Fault]:
    """Return what is wrong with a run beside its models: as a whole, and tests that failed."""
    return [*faults_of_run(run), *_failed_tests(run)]


def counted_faults(run: Run) -> list[str]:
    """Return in words how many tests failed, and how much is wrong with the run as a whole."""
    number = len([*faults_of_run(run)])
    failed = [counted(len(run.failed), "failed test")] if run.failed else []
    return [*failed, *([counted(number, "fault of the run", "faults of the run")] if number else [])]


def faults_of_run(run: Run) -> Iterator[Fault]:
    """Yield what is wrong with a run as a whole."""
    nowhere = Place("pyproject.toml")
    for worker in run.lost_workers:
        said = f"worker {worker} was lost, and with it what its tests measured: this run does not show every model"
        yield Fault("lost worker", worker, nowhere, said)
    for number, error in enumerate(run.internal_errors, start=1):
        last = error.rstrip().rpartition("\n")[2]
        said = f"pytest itself failed in a worker, and with it what its tests measured: {last}"
        yield Fault("internal error", str(number), nowhere, said)
    for stale in run.missing:
        yield Fault("stale", stale.name, stale.place or nowhere, unmeasured_entry(stale))
    for mark in run.unmet:
        model = f' called "{mark.model}"' if mark.model else ""
        said = f"budget declared at {mark.place}, but none of the tests of {mark.node} measured a model{model}"
        remedy = "Let one of them call a model, or put the mark on the tests that do."
        yield Fault("mark", mark.node, mark.place or nowhere, f"{said}\n{remedy}")
    for one, other in run.contradictions:
        yield Fault("name", other.name, _file(other.tests[0]), contradiction(one, other))


def _failed_tests(run: Run) -> Iterator[Fault]:
    for failed in run.failed:
        how = " failed by itself" if failed.by_itself else ""
        yield Fault("failed", failed.test, _file(failed.test), f"{failed.test}{how}: {failed.error}")


def _file(test: str) -> Place:
    return Place(test.partition("::")[0])
