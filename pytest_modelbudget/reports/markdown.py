"""A run, or a comparison, in Markdown: for the summary of a workflow and the comment on a pull request.

It answers a reviewer: does it pass, what changed, why, and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from pytest_modelbudget.budgets.status import Finding
from pytest_modelbudget.measurement import human, signed_percent
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.changes import why
from pytest_modelbudget.reports.faults import counted_faults, faults
from pytest_modelbudget.reports.heaviest import in_sentences
from pytest_modelbudget.reports.lines import NO_BREAK, not_measured
from pytest_modelbudget.reports.message import remedies
from pytest_modelbudget.reports.terminal import counts
from pytest_modelbudget.reports.wording import as_many_as_fit, bounded, counted, counted_how, numbers
from pytest_modelbudget.results import Run
from pytest_modelbudget.results.comparing import Comparison
from pytest_modelbudget.results.standings import Cause, Standing, standings

LONGEST = 32_000
"""Characters: a comment on GitHub may have 65 536, and what a workflow adds to it."""

_SAID_BY_METRICS = ("over", "grown", "within", "expected", "warned")
_MOST_MODELS = 20
_MOST_ROWS = 400
_MOST_FAULTS = 40
_MOST_NAMES = 400  # characters
_SYNTAX = re.compile(r"[\\`*_{}\[\]#|~]")
_LINKED = re.compile(r"(?i)(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=:)(?=[\w+-]+:)|(?<=:)(?=//)|(?<=\bwww)(?=\.)")
"""Where GitHub would begin a mention, the number of an issue, an emoji, or the address of a page."""


def escaped(text: str) -> str:
    """Return text as Markdown shows it, in a cell of a table too.

    GitHub links what it finds in the text that comes out, where no backslash is left: an empty comment keeps it apart.
    """
    for letter, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\n", " "), ("\r", " ")):
        text = text.replace(letter, name)
    text = _SYNTAX.sub(r"\\\g<0>", text)
    return _LINKED.sub("<!-- -->", text).replace("$", "<span>$</span>")


def _code(text: str) -> str:
    """Return the names of modules as code, unless they have what ends that, a cell or a line."""
    return escaped(text) if re.search(r"[`|\r\n]", text) else f"`{text}`"


@dataclass(frozen=True, slots=True)
class Base:
    """What a pull request is compared with: how each model compares, and the words for both revisions.

    ``missing`` says why there is no base, where one was asked for.
    """

    comparisons: Mapping[tuple[str, tuple[str, ...]], Comparison] = field(default_factory=dict)
    words: str = ""
    missing: str = ""


def of_run(run: Run, base: Base | None = None, longest: int = LONGEST) -> str:
    """Return the Markdown of a run: the verdict, the metrics that tell something, why, and the rest folded."""
    models = [_Model(one, _of_base(base, one)) for one in standings(run)]
    shown = [one for one in models if one.is_shown]
    quiet = [one for one in models if not one.is_shown]
    headings = ("model", "metric", "base" if base else "baseline", "here", "change", "limit", "verdict")
    faulty = [f"- {escaped(fault.headline)}" for fault in faults(run)]
    more = [f"- + {len(faulty) - _MOST_FAULTS} more"] if len(faulty) > _MOST_FAULTS else []
    reasons = [_reasons(one) for one in shown]
    for kept in range(min(len(shown), _MOST_MODELS), -1, -1):
        parts = [f"## {_verdict(run, [one.standing for one in models])}", "", *_changed(run, models, base)]
        parts += [*faulty[:_MOST_FAULTS], *more, ""] if faulty else []
        rows = [row for one in shown[:kept] for row in one.rows()]
        parts += [*_table(headings, rows, right=(2, 3, 4, 5)), ""] if rows else []
        parts += [*_names("more model", shown[kept:]), *_why(reasons[:kept])]
        folds = [_others(quiet, shown), _costs(shown[:kept]), _acceptance(shown)]
        for left_out in range(len(folds) + 1):
            names = [_names("other model", quiet)] if left_out else []
            text = "\n".join(chain(parts, *names, *folds[left_out:], _tail(run))).rstrip() + "\n"
            if len(text) <= longest:
                return text
    return text


@dataclass(frozen=True, slots=True)
class _Model:
    """A model of the run, and how it compares with the base."""

    standing: Standing
    against: Comparison | None

    @property
    def is_shown(self) -> bool:
        """Whether the table has it: it fails, warns, or is not as in the base."""
        return not self.standing.is_quiet or (self.against is not None and self.against.kind != "same")

    def before(self, found: Finding) -> int | None:
        """Return the value before: in the base, or where there is none, in the baseline."""
        if self.against is None or found.module is not None:
            return found.before
        return self.against.before.get(found.metric)

    def changes(self) -> tuple[Cause, ...]:
        """Return what changed."""
        return self.standing.causes if self.against is None else self.against.causes

    def rows(self) -> Iterator[list[str]]:
        """Yield a row for each metric that tells something, or one that says how the model is."""
        one = self.standing
        name = f"**{escaped(one.verdict.model)}**" + (f" {escaped(one.inputs)}" if one.verdict.inputs else "")
        for scaling in one.verdict.scaling if one.status.kind == "steeper" else ():
            grows = "no power law" if scaling.exponent is None else f"n^{scaling.exponent:.2f}"
            yield [name, METRICS[scaling.metric].label, "", grows, "", escaped(scaling.declared), "**too steep**"]
            name = ""
        notable = [found for found in one.findings if self._is_notable(found)]
        if one.status.kind not in _SAID_BY_METRICS or not notable:
            text = f"**{escaped(one.status.text)}**" if one.fails else escaped(one.status.text)
            whole = [found for found in one.findings if found.metric in ("params", "macs") and not found.part]
            bounds = [found for found in whole if found.is_lower_bound]
            about = notable or bounds or whole
            for found in about if name else ():
                yield [name, *self._numbers(found), text]
                name = text = ""
            notable = []
            if name:
                yield [name, *[""] * 5, text]
        for found in notable:
            yield [name, *self._numbers(found), self._verdict(found)]
            name = ""

    def _is_notable(self, found: Finding) -> bool:
        if self.against is None or found.module is not None:
            moved = found.moved and not found.is_echo
        else:
            moved = found.metric in self.against.moved
        excused = self.standing.status.kind == "expected" and found.over
        return found.over or (found.grown and not found.is_echo) or moved or found.warned or excused

    def _numbers(self, found: Finding) -> list[str]:
        """Return metric, value before, value here, change and limit of a finding."""
        before = self.before(found)
        value, limit, shown_before = numbers(found.metric, found.value, found.limit, before)
        moved = before is not None and found.value is not None and before != found.value
        part = f"{_code(found.part)} " if found.part else ""
        return [
            f"{part}{METRICS[found.metric].label}",
            _kept(shown_before),
            _kept(bounded(found, value).replace(">=", "≥")),
            _kept(signed_percent(before or 0, found.value or 0)) if moved else "",
            _kept(limit),
        ]

    def _verdict(self, found: Finding) -> str:
        if self.standing.status.kind == "expected" and found.over:
            return f"over by {found.excess}, as xfail expects"
        if found.over:
            return f"**over by {found.excess}**"
        if found.grown:
            return "**grew**"
        if found.warned and found.worst.warn:
            return f"warn, above {_kept(found.worst.warn.text)}"
        before = self.before(found)
        if before is not None and found.value is not None and found.value != before:
            return "less" if found.value < before else "grew, allowed" if found.moved else "grew, accepted"
        return found.left or "ok"


def _kept(text: str) -> str:
    """Return a text, as of a number and its unit, that stays on one line."""
    return escaped(text).replace(" ", NO_BREAK)


def _of_base(base: Base | None, one: Standing) -> Comparison | None:
    """Return how a model compares with the base; one without a name of its own is in no lock file, and new nowhere."""
    verdict = one.verdict
    found = None if base is None else base.comparisons.get((verdict.model, tuple(map(str, verdict.inputs))))
    return found if found is not None and (verdict.named or found.kind != "added") else None


def _verdict(run: Run, models: Sequence[Standing]) -> str:
    failing = sum(one.fails for one in models)
    parts = [f"{failing:,} of {counted(len(models), 'model')} fail{'s' * (failing == 1)}"] if failing else []
    parts += counted_faults(run)
    if parts:
        return f"Model budgets: {', '.join(parts)}"
    return f"Model budgets: {counts(models)}" if models else "Model budgets: no model was measured"


def _changed(run: Run, models: Sequence[_Model], base: Base | None) -> list[str]:
    """Return a sentence for what grew, shrank and is new, and what was compared with what."""
    if base is None:
        return []
    if base.missing:
        return [f"No comparison with the base: {escaped(base.missing)}.", ""]
    found: dict[str, list[str]] = {}
    for one in models:
        if one.against is None:
            continue
        if one.against.kind == "added":
            found.setdefault("New", []).append(escaped(one.standing.name))
            continue
        if one.against.moved:
            metric = one.against.moved[0]
            before, after = one.against.before[metric], one.against.after[metric]
            word = "Grew" if after > before else "Shrank"
            text = f"{one.standing.name} {signed_percent(before, after)} {METRICS[metric].label}"
            found.setdefault(word, []).append(_kept(text))
    if run.shows_all:
        here = {one.standing.verdict.model for one in models}
        gone = [
            f"{one.name} ({', '.join(one.inputs) or 'no inputs'})" if one.name in here else one.name
            for one in base.comparisons.values()
            if one.kind == "removed"
        ]
        found["Gone"] = [*map(escaped, gone)]
    words = [word for word in ("Grew", "Shrank", "New", "Gone") if found.get(word)]
    sentences = [f"**{word}:** {as_many_as_fit([*dict.fromkeys(found[word])], _MOST_NAMES)}." for word in words]
    return [" ".join([*(sentences or ["Nothing changed."]), f"Comparing {escaped(base.words)}."]), ""]


def _reasons(one: _Model) -> tuple[str, list[str]]:
    """Return the name of a model, and why it is as it is: what changed, what to do, where its limit stands."""
    model, standing = one.standing.model, one.standing
    assert model is not None
    found = [*filter(None, [one.against.other_mode if one.against else ""]), *why(one.changes())]
    if standing.fails:
        for text in remedies(standing.verdict, model.measurement):
            lines = [" ".join(line.split()) for line in text.splitlines()]
            found.append("; ".join(line for line in lines if line != standing.status.text))
        found += [f"declared at {standing.place.short}"] if standing.excesses and standing.place else []
        found += [standing.verdict.message] if standing.verdict.message else []
    return escaped(standing.name), [*map(escaped, dict.fromkeys(found))]


def _why(reasons: Sequence[tuple[str, list[str]]]) -> list[str]:
    lines = [f"- **{name}**: {'; '.join(texts)}" for name, texts in reasons if texts]
    return ["**Why**", "", *lines, ""] if lines else []


def _names(noun: str, models: Sequence[_Model]) -> list[str]:
    """Return the names of models for which there is no room, as far as they fit."""
    names = [escaped(one.standing.name) for one in models]
    return [f"And {counted(len(names), noun)}: {as_many_as_fit(names, _MOST_NAMES)}.", ""] if names else []


def _others(quiet: Sequence[_Model], shown: Sequence[_Model]) -> list[str]:
    """Return the numbers of the models that are as they should be."""
    columns, rows = [metric for metric, known in METRICS.items() if known.column], []
    for one in (model.standing for model in quiet):
        values = {check.metric: check.value for check in one.verdict.checks}
        cells = [_kept(human(values.get(metric), metric)) for metric in columns]
        rows.append([escaped(one.name), *cells, escaped(one.status.text)])
    headings = ("model", *(METRICS[metric].label for metric in columns), "status")
    table = _table(headings, rows, right=(1, 2, 3)) if rows else []
    return _details(counted(len(quiet), "other model"), table) if shown and rows else [*table, ""]


def _costs(shown: Sequence[_Model]) -> list[str]:
    """Return where the cost of the models is that are over their limits."""
    lines = []
    for one in (model.standing for model in shown):
        over = [found.metric for found in one.excesses if found.over and found.module is None]
        if over and one.model is not None:
            found = in_sentences(one.model.measurement.modules, one.name, over, _code)
            lines += [f"- **{escaped(one.name)}** {text}" for text in found]
    return _details("Where the cost is", lines) if lines else []


def _acceptance(shown: Sequence[_Model]) -> list[str]:
    """Return what to do about models that grew; one that is over a limit too is not accepted."""
    grown = [one.standing for one in shown if any(found.grown for found in one.standing.findings)]
    over = any(found.over for one in grown for found in one.findings)
    first = ["First raise the limits that do not hold.", ""] if over else []
    return _details("How to accept what grew", [*first, "```", "pytest --modelbudget-update", "```"]) if grown else []


def _details(title: str, lines: Iterable[str]) -> list[str]:
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


def _tail(run: Run) -> list[str]:
    line = not_measured(run)
    return [*([f"{escaped(line)}.", ""] if line else []), f"{escaped(counted_how(run, standings(run)))}."]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int]) -> list[str]:
    """Return a table without padding: a comment has room for what it says."""
    rule = "|".join("--:" if place in right else "---" for place in range(len(headings)))
    return [f"|{'|'.join(headings)}|", f"|{rule}|", *(f"|{'|'.join(row)}|" for row in rows)]


def violations(run: Run) -> int:
    """Return how many models and tests under a budget fail, and how many faults the run as a whole has."""
    return sum(model.fails for model in run.models) + len(faults(run))


def of_comparison(comparisons: Sequence[Comparison], longest: int = LONGEST) -> str:
    """Return the Markdown of two sets of measurements side by side."""
    changed = [one for one in comparisons if one.kind != "same"]
    grown = sum(one.kind == "grown" for one in changed)
    rows = [row for one in changed for row in _compared_rows(one)]
    reasons = [
        (escaped(one.name), [*map(escaped, filter(None, [one.other_mode, *why(one.causes)]))]) for one in changed
    ]
    verdict = f"## {counted(grown, 'model')} grew" if grown else "## No model grew"
    same = len(comparisons) - len(changed)
    tail = [f"{counted(same, 'model')} unchanged."] if same else []
    headings = ("model", "", "metric", "before", "after", "change")

    for kept in (len(rows), *range(min(len(rows) - 1, _MOST_ROWS), -1, -1)):
        lines = [*_table(headings, rows[:kept], right=(3, 4, 5)), ""] if rows else []
        lines += [f"+ {counted(len(rows) - kept, 'more row')}", ""] if kept < len(rows) else []
        told = _why(reasons if kept == len(rows) else ())
        text = "\n".join([verdict, "", *lines, *told, *tail]).rstrip() + "\n"
        if len(text) <= longest:
            break
    return text


def _compared_rows(one: Comparison) -> Iterator[list[str]]:
    name, kind = f"{escaped(one.name)} {escaped(', '.join(one.inputs))}".rstrip(), str(one.kind)
    for metric in one.moved or [metric for metric, known in METRICS.items() if known.column]:
        before, after = one.before.get(metric), one.after.get(metric)
        moved = signed_percent(before, after) if before is not None and after is not None else ""
        cells = [human(value, metric) if value is not None else "" for value in (before, after)]
        yield [name, kind, METRICS[metric].label, *map(_kept, cells), moved]
        name = kind = ""
