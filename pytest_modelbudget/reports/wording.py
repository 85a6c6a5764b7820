"""The words and numbers that every report shares. This is where rounding happens, and nowhere before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wcwidth import width as width_of

from pytest_modelbudget.budgets import Limit
from pytest_modelbudget.budgets.status import Finding
from pytest_modelbudget.measurement import Measurement, Mode, OperatorCost, exactly, human
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.results import Incomplete, Run
from pytest_modelbudget.results.folding import FoldedMeasurement
from pytest_modelbudget.results.standings import Standing


def numbers(metric: str, value: int | None, limit: Limit | None, before: int | None = None) -> tuple[str, str, str]:
    """Return value, limit and baseline for people: rounded, and the limit as it was declared.

    Where the limit was declared with every digit, or would look equal to the value and is not, all of them are exact.
    Billions of parameters are ``G``: ``B`` is for bytes.
    """
    if limit is None:
        return human(value, metric), "", "" if before is None else human(before, metric)
    looks_equal = value not in (None, limit.value) and human(value, metric) == human(limit.value, metric)
    shown = exactly if looks_equal or limit.text == exactly(limit.value, metric) else human
    text = exactly(limit.value, metric) if looks_equal else limit.text
    if METRICS[metric].billions and text.endswith("B"):
        text = f"{text[:-1]}G"
    return shown(value, metric), text, "" if before is None else shown(before, metric)


def value_and_limit(found: Finding, *, with_limit: bool = True) -> str:
    """Return a value and its limit, where it has one: ``25.56 M / 25.6 M``."""
    value, limit, _ = numbers(found.metric, found.value, found.limit if with_limit else None)
    return f"{bounded(found, value)}{f' / {limit}' if limit else ''}"


def bounded(found: Finding, text: str) -> str:
    """Return the text of a value; of a lower bound it is said that it is one."""
    return f">= {text}" if found.is_lower_bound and found.value is not None else text


def convention(flops_per_mac: int) -> str:
    """Return the convention in use."""
    return f"1 MAC = {counted(flops_per_mac, 'FLOP')}"


def counted_how(run: Run, models: Sequence[Standing]) -> str:
    """Return the convention in use and the mode of the models: ``1 MAC = 2 FLOPs, eval mode (train: net)``."""
    names: dict[Mode, list[str]] = {}
    for model in models:
        if model.verdict.mode is not None:
            names.setdefault(model.verdict.mode, []).append(model.name)
    if not names:
        return convention(run.flops_per_mac)
    usual, *other = sorted(names, key=lambda mode: -len(names[mode]))
    but = "".join(f" ({mode}: {as_many_as_fit(names[mode], 30)})" for mode in other)
    return f"{convention(run.flops_per_mac)}, {usual} mode{but}"


def how_to_accept(findings: Iterable[Finding]) -> str:
    """Return how growth is accepted, or an empty text where nothing grew; what is over a limit too never is."""
    found = tuple(findings)
    if not any(one.grown for one in found):
        return ""
    return f"{'raise the limit, then ' * any(one.over for one in found)}pytest --modelbudget-update"


def circumstances(measurement: Measurement | FoldedMeasurement) -> list[str]:
    """Return what the numbers of a measurement depend on: convention, inputs, rank, the kind of run, and the mode."""
    return [
        convention(measurement.flops_per_mac),
        *([", ".join(map(str, measurement.inputs))] if measurement.inputs else []),
        *([f"rank 0 of {measurement.ranks}"] if measurement.ranks else []),
        *([", ".join(filter(None, [f"{measurement.run} run", measurement.mode]))] if measurement.run else []),
    ]


def outside_of_modules(operators: Sequence[OperatorCost]) -> str:
    """Return what ran outside of any module: ``0.5 G MACs ran outside of modules``."""
    macs = sum(operator.macs for operator in operators)
    unknown = [operator.name for operator in operators if not operator.macs]
    parts = [f"{human(macs)} MACs"] if macs else []
    parts += [f"operators without a formula ({', '.join(unknown)})"] if unknown else []
    return f"{' and '.join(parts)} ran outside of modules"


WITHOUT_INPUTS = 'the model was measured without inputs: pass args=, kwargs= or inputs=, or declare inputs = "..."'
_ASKED_FOR, _BY_OPTION = "the run was asked for {}", "{} changes what is collected"
_WHY: Mapping[Incomplete, tuple[str, str]] = {
    "selected": (_ASKED_FOR, "a part of the tests"),
    "arguments": (_ASKED_FOR, "a part of the tests"),
    "not collected": ("{} was not collected", "a file"),
    "deselected": ("{} left tests out", "a filter or a shard"),
    "skipped": ("{} was skipped or gave up", "a test under a budget"),
    "stopped": ("tests were left when the run ended", ""),
    "collection failed": ("{} could not be collected", "a file"),
    "worker lost": ("{} was lost", "a worker"),
}


def why_incomplete(run: Run) -> list[str]:
    """Return why a run does not show everything, the most telling reason first."""
    found = [(*_WHY[reason], run.details.get(reason, "")) for reason in run.incomplete]
    return [
        (_BY_OPTION if words == _ASKED_FOR and detail.startswith("-") else words).format(detail or default)
        for words, default, detail in found
    ]


def as_many_as_fit(names: Sequence[str], room: int, noun: str = "model") -> str:
    """Return names as far as there is room, and how many more there are: ``net, net2 + 298 more``."""
    for number in (len(names), *range(min(len(names) - 1, room), 0, -1)):
        more = f" + {len(names) - number:,} more" if number < len(names) else ""
        shown = ", ".join(names[:number]) + more
        if width_of(shown) <= room:
            return shown
    return counted(len(names), noun)


def listed(words: Sequence[str]) -> str:
    """Return ``params``, ``params and macs``, or ``params, macs and flops``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 model`` or ``3 models``."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
