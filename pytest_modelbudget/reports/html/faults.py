"""What is wrong with a run as a whole, and what it does not show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_modelbudget.reports.faults import faults as faults_of
from pytest_modelbudget.reports.html.status import State
from pytest_modelbudget.reports.lines import not_counted, not_measured, to_accept
from pytest_modelbudget.reports.message import unmeasured_entry
from pytest_modelbudget.reports.wording import why_incomplete
from pytest_modelbudget.results import Run

_ROOM = 400  # characters for names


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to be known of the run itself: in a line, and in full."""

    state: State
    title: str
    details: tuple[str, ...] = ()


def faults(run: Run) -> list[Fault]:
    """Return what is wrong with the run itself, then what else is to be known of it."""
    order: list[State] = ["bad", "warn", "plain"]
    return sorted(_faults(run), key=lambda fault: order.index(fault.state))


def _faults(run: Run) -> Iterator[Fault]:
    for fault in faults_of(run):
        yield _as_sentence("bad", fault.message)
    for stale in run.stale if run.complete else ():
        if stale.severity != "error":
            yield _as_sentence("warn" if stale.severity else "plain", unmeasured_entry(stale))
    yield from (Fault("warn", f"{note}.") for note in not_counted(run, _ROOM))
    if run.incomplete:
        yield Fault("plain", f"This run does not show everything: {'; '.join(why_incomplete(run))}.", run.left_out)
    if line := not_measured(run):
        yield Fault("plain", f"{line}.", tuple(str(one.place or one.name) for one in run.stale))
    yield from (Fault("plain", note) for note in to_accept(run, _ROOM))


def _as_sentence(state: State, message: str) -> Fault:
    title, *rest = message.split("\n", 1)
    return Fault(state, f"{title[0].upper()}{title[1:]}", tuple(rest))
