"""How each model of a run stands: its status, the metrics worth showing, and why. Reports only lay it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from pytest_modelbudget.budgets import Place, Verdict
from pytest_modelbudget.budgets.status import Finding, Level, Status, findings, has_moved, is_new, place_of, status
from pytest_modelbudget.measurement import TensorSpec
from pytest_modelbudget.names import without_numbers
from pytest_modelbudget.results.difference import Difference, Kind
from pytest_modelbudget.results.run import ModelResult, Run

KINDS: Final[Mapping[str, str]] = {
    "over": "over budget",
    "grown": "above the baseline",
    "contradicted": "under a name that another model has",
    "unknown_operators": "with a lower bound",
    "not_measured": "not measured",
    "steeper": "too steep",
    "no_module": "with a limit for no module",
    "new": "not in the baseline",
    "warned": "above a warning",
    "expected": "over as xfail expects",
    "within": "within budget",
    "unbudgeted": "without a budget",
}
"""How a model can be, the worst first."""

_LEVELS: Final[Sequence[Level]] = ("error", "warning", "good", "plain")
_CONTRADICTED: Final = Status("contradicted", "error", "CONTRADICTED: another model has this name")


@dataclass(frozen=True, slots=True)
class Cause:
    """Modules behind the change of a model, and what they add, by metric; ``moved_from`` are their names before."""

    kind: Kind
    modules: tuple[str, ...]
    cls: str
    amounts: dict[str, int]
    moved_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How one model stands at one set of inputs.

    ``name`` tells it from the others of the run: where several have that name, its ``inputs`` stand in it.
    ``findings`` has every metric, the worst first; ``causes`` are what changed since the baseline, the largest first.
    ``model`` is the result in the run; it is None while the test still runs.
    """

    name: str
    inputs: str
    verdict: Verdict
    status: Status
    findings: tuple[Finding, ...]
    causes: tuple[Cause, ...] = ()
    model: ModelResult | None = None

    @property
    def fails(self) -> bool:
        """Whether the model fails the run."""
        return self.status.level == "error"

    @property
    def notable(self) -> tuple[Finding, ...]:
        """The metrics of which there is something to say."""
        return tuple(finding for finding in self.findings if finding.is_notable)

    @property
    def excesses(self) -> tuple[Finding, ...]:
        """The metrics that are over their limit, or grew by themselves."""
        return tuple(finding for finding in self.findings if finding.over or (finding.grown and not finding.is_echo))

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to say of the model but its name."""
        return not (self.fails or self.verdict.problems or has_moved(self.verdict) or is_new(self.verdict))

    @property
    def place(self) -> Place | None:
        """Where the rule stands that the worst problem is about."""
        if self.excesses:
            return next(filter(None, map(place_of, self.excesses)), None)
        limits = (found.limit.place for found in self.findings if found.limit)
        return next((problem.place for problem in self.verdict.problems if problem.place), next(limits, None))


def standing(
    verdict: Verdict, differences: Iterable[Difference] = (), *, excused: bool = False, name: str = "", inputs: str = ""
) -> Standing:
    """Return how a model stands by its verdict, and what changed since the baseline."""
    found, rank = findings(verdict), "" if verdict.ranks is None else f"rank 0 of {verdict.ranks}"
    moved = {finding.metric for finding in found if finding.module is None and finding.moved and not finding.is_echo}
    return Standing(
        f"{name or verdict.model} ({rank})" if rank else name or verdict.model,
        ", ".join(filter(None, [inputs or sizes(verdict.inputs), rank])),
        verdict,
        status(verdict, excused=excused),
        found,
        causes(difference for difference in differences if difference.metric in moved),
    )


def standings(run: Run) -> list[Standing]:
    """Return how every model of a run stands, the worst first."""
    words, names = words_for_inputs(run.models), distinct_names(run.models)
    contradicted = {place for pair in run.contradicting for place in pair}
    found = []
    for place, model in enumerate(run.models):
        key = model.name, model.inputs
        current = standing(model.verdict, model.differences, excused=model.excused, name=names[key], inputs=words[key])
        found.append(replace(current, model=model, status=_CONTRADICTED if place in contradicted else current.status))
    return sorted(found, key=badness)


def badness(model: Standing) -> tuple[int, int, float]:
    """Return what to sort by, the worst first.

    It is level and kind, and then the metric that is furthest above what it is held against, or nearest to that.
    """
    worst = next(iter((*model.excesses, *(found for found in model.findings if found.left))), None)
    over = -1.0
    if worst is not None and worst.value is not None:
        room = worst.above - worst.value
        # A limit of 0 that is exceeded is infinitely far off; one that is kept is not.
        over = -room / worst.above if worst.above else float("inf") if room else 0.0
    return _LEVELS.index(model.status.level), [*KINDS].index(model.status.kind), -over


def how_many(models: Iterable[Standing]) -> list[tuple[str, str, int]]:
    """Return how models are, by kind and in words, with their number; the worst kind first."""
    found = Counter(model.status.kind for model in models)
    return [(kind, words, found[kind]) for kind, words in KINDS.items() if found[kind]]


def causes(differences: Iterable[Difference]) -> tuple[Cause, ...]:
    """Return the changes of modules with what they add to each metric, the largest part of a difference first.

    Modules whose names differ in numbers alone are one cause, though each may have changed by another amount.
    """
    found: dict[tuple[str, str, str], Cause] = {}
    shares: Counter[tuple[str, str, str]] = Counter()
    for difference in differences:
        for change in difference.changes:
            # A module that grows in one metric may shrink in another: it is one cause all the same.
            kind = "" if change.kind in ("grew", "shrank") else change.kind
            key = (kind, without_numbers(change.modules[0]), change.cls)
            known = found.get(key)
            new = Cause(change.kind, change.modules, change.cls, {}, change.moved_from)
            amounts = known.amounts if known else {}
            if change.amount:
                amounts[difference.metric] = amounts.get(difference.metric, 0) + change.amount
            found[key] = replace(_joined(known, new) if known else new, amounts=amounts)
            shares[key] += abs(change.amount) * 10**9 // abs(difference.after - difference.before)
    return tuple(found[key] for key, _ in shares.most_common())


def _joined(cause: Cause, other: Cause) -> Cause:
    modules = dict(zip(cause.modules, cause.moved_from or cause.modules, strict=True))
    modules.update(zip(other.modules, other.moved_from or other.modules, strict=True))
    return replace(cause, modules=(*modules,), moved_from=(*modules.values(),) if cause.moved_from else ())


class HasInputs(Protocol):
    """What was measured under a name, at some inputs."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs of the call."""


WordsForInputs = Mapping[tuple[str, tuple[TensorSpec, ...]], str]


def words_for_inputs(found: Iterable[HasInputs]) -> WordsForInputs:
    """Return what to call the inputs of each model: their shapes, and where two have the same, all there is of them."""
    different = {(model.name, model.inputs) for model in found}
    same_sizes = Counter((name, sizes(inputs)) for name, inputs in different)
    return {
        (name, inputs): sizes(inputs) if same_sizes[name, sizes(inputs)] == 1 else ", ".join(map(str, inputs))
        for name, inputs in different
    }


def distinct_names(found: Iterable[HasInputs]) -> WordsForInputs:
    """Return what to call each model: its name, with its inputs where several have that name."""
    words = words_for_inputs(found)
    several = Counter(name for name, _ in words)
    return {key: f"{key[0]} ({inputs})" if several[key[0]] > 1 else key[0] for key, inputs in words.items()}


def sizes(inputs: tuple[TensorSpec, ...]) -> str:
    """Return the shapes of inputs: ``1x128, 1x128``."""
    return ", ".join(spec.size for spec in inputs) or "no inputs"
