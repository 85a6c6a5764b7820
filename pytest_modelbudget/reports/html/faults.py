"""What is wrong with a run as a whole, and what it does not show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_modelbudget.budgets.status import is_less, is_new
from pytest_modelbudget.reports.faults import failed_tests
from pytest_modelbudget.reports.faults import faults as faults_of_run
from pytest_modelbudget.reports.html.status import State
from pytest_modelbudget.reports.lines import not_measured
from pytest_modelbudget.reports.message import unmeasured_entry
from pytest_modelbudget.reports.wording import counted, outside_of_modules, why_incomplete
from pytest_modelbudget.results import Run


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
    for fault in faults_of_run(run):
        yield _as_sentence("bad", fault.message)
    for failed in failed_tests(run):
        yield Fault("bad", failed.message)
    for stale in run.stale if run.complete else ():
        if stale.severity != "error":
            yield _as_sentence("warn" if stale.severity else "plain", unmeasured_entry(stale))
    if run.unused:
        yield Fault("warn", f"model_budget was asked for and never called in {_tests(run.unused)}.", run.unused)
    for test, operators in run.outside:
        ran = tuple(f"{one.name}: {counted(one.calls, 'call')}, {one.macs:,} MACs" for one in operators)
        yield Fault("warn", f"{outside_of_modules(operators)} in {test}.", ran)
    yield from _notes(run)


def _as_sentence(state: State, message: str) -> Fault:
    title, *rest = message.split("\n", 1)
    return Fault(state, f"{title[0].upper()}{title[1:]}", tuple(rest))


def _notes(run: Run) -> Iterator[Fault]:
    if run.incomplete:
        yield Fault("plain", f"This run does not show everything: {'; '.join(why_incomplete(run))}.", run.left_out)
    if line := not_measured(run):
        yield Fault("plain", f"{line}.", tuple(str(one.place or one.name) for one in run.stale))
    new = tuple(model.name for model in run.models if is_new(model.verdict))
    if new:
        yield Fault(
            "plain", f"{_models(new)} not in the baseline yet. Accept: pytest --modelbudget-update", tuple(sorted(new))
        )
    less = tuple(model.name for model in run.models if is_less(model.verdict))
    if less:
        yield Fault(
            "plain", f"{_models(less)} less than the baseline. Keep it so: pytest --modelbudget-update=lower", less
        )


def _models(names: tuple[str, ...]) -> str:
    return f"{counted(len(names), 'model')} {'is' if len(names) == 1 else 'are'}"


def _tests(names: tuple[str, ...]) -> str:
    return counted(len(names), "test")
