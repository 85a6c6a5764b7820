"""What is wrong with a run as a whole, and what it does not show."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_modelbudget.reports.faults import faults as faults_of
from pytest_modelbudget.reports.html.bars import State
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
    wrong = [_as_sentence("bad", fault.message) for fault in faults_of(run)]
    tolerated = [entry for entry in run.stale if run.complete and entry.severity != "error"]
    wrong += [_as_sentence("warn", unmeasured_entry(entry)) for entry in tolerated if entry.severity]
    wrong += [Fault("warn", f"{note}.") for note in not_counted(run, _ROOM)]
    notes = [_as_sentence("plain", unmeasured_entry(entry)) for entry in tolerated if not entry.severity]
    if run.incomplete:
        missing = f"This run does not show everything: {'; '.join(why_incomplete(run))}."
        notes.append(Fault("plain", missing, run.left_out))
    if line := not_measured(run):
        notes.append(Fault("plain", f"{line}.", tuple(str(entry.place or entry.name) for entry in run.stale)))
    return [*wrong, *notes, *(Fault("plain", note) for note in to_accept(run, _ROOM))]


def _as_sentence(state: State, message: str) -> Fault:
    title, *rest = message.split("\n", 1)
    begins_with_a_name = "::" in title.partition(" ")[0]  # of a test
    return Fault(state, title if begins_with_a_name else f"{title[0].upper()}{title[1:]}", tuple(rest))
