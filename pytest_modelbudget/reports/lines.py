"""Lines of the screen, and what is said of a run beside its table of models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wcwidth import width as width_of
from wcwidth import wrap

from pytest_modelbudget.budgets import Table
from pytest_modelbudget.budgets.status import is_less, is_new
from pytest_modelbudget.reports.wording import as_many_as_fit, counted, outside_of_modules, why_incomplete
from pytest_modelbudget.results import Run, Stale

NO_BREAK = "\N{NO-BREAK SPACE}"
GAP = "  "
_NARROW = 80
_FOR_NAMES = 12


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the screen: plain text, then a status in a colour.

    The log of a workflow of GitHub obeys lines that begin with two colons, such as those of a model's name.
    """

    text: str
    status: str = ""
    colour: str = ""

    def __post_init__(self) -> None:
        if self.text.lstrip().startswith("::"):
            object.__setattr__(self, "text", self.text.replace("::", ": :", 1))


def header(table: Table) -> str:
    """Return the line that says at the start that the guard stands."""
    parts = [counted(len(table.models), "entry", "entries")] if table.models else []
    parts += ["default"] if table.default.limits or table.default.warns else []
    return f"model budgets: {table.path}" + (f" ({', '.join(parts)})" if parts else "")


def notes(texts: Iterable[str], width: int) -> list[Line]:
    """Return what else is to be said of a run, below the summary."""
    return [line for text in texts for line in wrapped(text, width)]


def not_measured(run: Run, width: int = _NARROW) -> str:
    """Return one line that says what a run that is not complete did not measure, and why; it is empty for others."""
    names = [*dict.fromkeys(map(_entry, run.stale))]
    if run.complete or not names:
        return ""
    width, head = min(width, _NARROW), f"Not measured, since {why_incomplete(run)[0]}: "
    fits = width_of(head) + min(_FOR_NAMES, width_of(", ".join(names))) <= width
    head = head if fits else "Not measured in this part of the tests: "
    return head + as_many_as_fit(names, width - width_of(head))


def _entry(stale: Stale) -> str:
    """Return what to call an entry that was not measured: with its inputs where others of its model were."""
    return f"{stale.name} ({', '.join(stale.inputs)})" if stale.inputs and stale.nearest == stale.name else stale.name


def notes_on(run: Run, width: int) -> Iterator[str]:
    """Yield what else is to be known of a run; each is one line where names can be left out."""
    yield from not_counted(run, 3 * width)
    yield from to_accept(run, width)
    if run.shows_all:
        for declared, who in ((True, "its own item"), (False, "any test")):
            missing = [_entry(entry) for entry in run.stale if entry.declared is declared]
            if missing:
                yield _line(f"Not measured by {who}: ", missing, "", width)


def not_counted(run: Run, width: int) -> Iterator[str]:
    """Yield what was not measured although somebody counts on it."""
    if run.unused:
        yield _line("model_budget was asked for and never called in ", run.unused, "", width, "test")
    for test, operators in run.outside:
        yield f"{outside_of_modules(operators)} in {test}"


def to_accept(run: Run, width: int) -> Iterator[str]:
    """Yield what the baseline does not have, or has more of, and how to take it there."""
    contradicted = {model.name for pair in run.contradictions for model in pair}
    accepted = [model for model in run.models if model.name not in contradicted]
    new = [model.name for model in accepted if is_new(model.verdict) and not model.verdict.errors]
    if new:
        yield _line("Not in the baseline: ", new, ". Accept: pytest --modelbudget-update", width)
    less = [model.name for model in accepted if is_less(model.verdict)]
    if less:
        yield _line("Less than before: ", less, ". Keep it: pytest --modelbudget-update=lower", width)


def _line(head: str, names: Sequence[str], tail: str, width: int, noun: str = "model") -> str:
    names = [*dict.fromkeys(names)]
    return f"{head}{as_many_as_fit(names, max(width - width_of(head + tail), _FOR_NAMES), noun)}{tail}"


def wrapped(text: str, width: int, *, break_words: bool = False) -> list[Line]:
    """Return ``text`` on as many lines as it needs, the further ones indented."""
    indent = text[: len(text) - len(text.lstrip())] + GAP
    lines = wrap(text, width, subsequent_indent=indent, break_long_words=break_words, break_on_hyphens=False)
    return [Line(line.replace(NO_BREAK, " ")) for line in lines]
