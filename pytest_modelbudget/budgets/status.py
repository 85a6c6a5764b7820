"""One word for a model: which metrics tell something, and the sentence that says how it stands, on every surface."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pytest_modelbudget.budgets.growth import Growth
from pytest_modelbudget.budgets.limits import Limit
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.budgets.verdicts import Check, Problem, Scaling, Verdict
from pytest_modelbudget.measurement import human, percent, signed_percent
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.names import natural, pattern

Level = Literal["error", "warning", "good", "plain"]
"""How good a status is: it fails, it warns, it is within its budget, or nobody set one."""

BYTES_OF_A_WEIGHT: Final = (1, 2, 4, 8, 16)
_NAMED = 3  # metrics in a status


@dataclass(frozen=True, slots=True)
class Finding:
    """One metric of a model, or of the modules that one rule limits, held against its limit and its baseline.

    ``module`` is the name of the modules that are meant, with ``*`` where several differ; ``None`` is the model.
    ``checks`` are those of all of them, the worst first, and the numbers are those of the worst; ``failing`` is how
    many are over or grew. ``is_echo`` tells that the change follows exactly from that of another metric.
    """

    checks: tuple[Check, ...]
    failing: int = 0
    over: bool = False
    grown: bool = False
    is_echo: bool = False
    is_lower_bound: bool = False

    @property
    def worst(self) -> Check:
        """The check that is nearest to its limit, or furthest above it."""
        return self.checks[0]

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return self.worst.metric

    @property
    def value(self) -> int | None:
        """The value; ``None`` where it was not measured."""
        return self.worst.value

    @property
    def limit(self) -> Limit | None:
        """The limit."""
        return self.worst.limit

    @property
    def before(self) -> int | None:
        """The value in the baseline."""
        return self.worst.before

    @property
    def growth(self) -> Growth | None:
        """How far the value may rise above the baseline."""
        return self.worst.growth

    @property
    def module(self) -> str | None:
        """The names of the modules that are meant as one, or ``None`` for the model."""
        names = [check.module for check in self.checks if check.module is not None]
        return pattern(sorted(names, key=natural)) if names else None

    @property
    def part(self) -> str:
        """The modules that are meant and how many they are: ``layers.* x12``, ``layers.* (3 of 12)``, or nothing."""
        if self.module is None:
            return ""
        name, number = self.module or "the model itself", len(self.checks)
        if number == 1:
            return name
        return f"{name} x{number:,}" if self.failing in (0, number) else f"{name} ({self.failing:,} of {number:,})"

    @property
    def label(self) -> str:
        """What is meant, for people: ``MACs``, or ``layers.* x12 MACs``."""
        return f"{self.part} {METRICS[self.metric].label}".lstrip()

    @property
    def differ(self) -> bool:
        """Whether the modules that are meant cost different amounts."""
        return len({check.value for check in self.checks}) > 1

    @property
    def warned(self) -> bool:
        """Whether the value is above the threshold of a warning, and within its limit."""
        warn, value = self.worst.warn, self.value
        return not self.over and warn is not None and value is not None and value > warn.value

    @property
    def moved(self) -> bool:
        """Whether the value is another than in the baseline."""
        return self.before is not None and self.value is not None and self.value != self.before

    @property
    def is_notable(self) -> bool:
        """Whether there is something to say of the metric: it is limited, or it moved by itself."""
        return bool(self.limit or self.worst.warn) or (self.moved and not self.is_echo)

    @property
    def above(self) -> int:
        """What the value is held against: its limit where it has one, unless it is its baseline that it is above."""
        if self.limit is not None and not (self.grown and not self.over):
            return self.limit.value
        return self.before or 0

    @property
    def excess(self) -> str:
        """How far the value is above its limit, or above its baseline: ``5.6%``, or an amount where that is 0."""
        above = self.above
        over = (self.value or 0) - above
        return percent(over, above) if above else human(over, self.metric)

    @property
    def left(self) -> str:
        """What is left of the limit: ``0.17% left``, ``at the limit``; nothing where there is none, or none known."""
        if self.limit is None or self.value is None or self.over or self.is_lower_bound:
            return ""
        room = self.limit.value - self.value
        return f"{percent(room, self.limit.value)} left" if room else "at the limit"


@dataclass(frozen=True, slots=True)
class Status:
    """How a model stands: the kind of its worst problem, how bad that is, and the sentence that says so."""

    kind: str
    level: Level
    text: str

    @property
    def short(self) -> str:
        """The beginning of the sentence, for screens that have no room for all of it."""
        first, _, rest = self.text.partition(", " if self.kind in ("over", "grown", "within", "expected") else ": ")
        if self.kind == "within":
            return f"ok, {rest.partition(' (')[0].partition(', ')[0]}" if rest else first
        return first


def findings(verdict: Verdict) -> tuple[Finding, ...]:
    """Return what was found of each metric, the worst first; limits that one rule sets for modules are one."""
    groups: dict[Hashable, list[Check]] = {}
    for check in (*verdict.checks, *verdict.parts):
        rule = (
            check.metric,
            *(limit and (limit.text, str(limit.place)) for limit in (check.limit, check.warn, check.growth)),
        )
        groups.setdefault(check.metric if check.module is None else rule, []).append(check)
    before = {check.metric: check.before for check in verdict.checks}
    limited = {check.metric for check in verdict.checks if check.limit or check.warn}
    over = {problem.subject for problem in verdict.problems if problem.kind == "over"}
    grown = {problem.subject for problem in verdict.problems if problem.kind == "grown"}
    following = {
        metric
        for metric, source in echoes(before, {check.metric: check.value for check in verdict.checks}).items()
        if metric not in limited and (metric not in grown or source in grown)
    }
    found = []
    for checks in groups.values():
        checks.sort(key=_excess_of_check, reverse=True)
        worst = checks[0]
        found.append(
            Finding(
                tuple(checks),
                sum(check.subject in over | grown for check in checks),
                worst.subject in over,
                worst.subject in grown,
                worst.module is None and worst.metric in following,
                bool(verdict.unknown) and METRICS[worst.metric].runs,
            )
        )
    return tuple(sorted(found, key=_badness))


def status(verdict: Verdict, *, excused: bool = False) -> Status:
    """Return how a model stands; ``excused`` tells that an xfail expects what is over."""
    problem = next(iter(verdict.problems), None)
    if problem is not None and problem.is_excess:
        return _excess(verdict, excused=excused)
    if problem is None:
        return _fine(verdict)
    text = in_words(problem, verdict)
    if excused and problem.is_excusable:
        return Status("expected", "warning", f"xfail: {text}")
    return Status(problem.kind, "error" if problem.severity == "error" else "warning", text)


def _excess(verdict: Verdict, *, excused: bool) -> Status:
    found = [finding for finding in findings(verdict) if finding.over or (finding.grown and not finding.is_echo)]
    over, grown = [finding for finding in found if finding.over], [finding for finding in found if not finding.over]
    text = ", ".join(f"{word} {_listed(some)}" for word, some in (("OVER", over), ("GREW", grown)) if some)
    if excused:
        return Status("expected", "warning", f"xfail: {text.replace('OVER', 'over').replace('GREW', 'grew')}")
    return Status("over" if over else "grown", "error", text)


def _listed(found: list[Finding]) -> str:
    named = [f"{finding.label} {_by_how_much(finding)}" for finding in found[:_NAMED]]
    return ", ".join([*named, *([f"{len(found) - _NAMED} more"] if len(found) > _NAMED else [])])


def _by_how_much(found: Finding) -> str:
    """Return the excess, or what there is where nothing is allowed: there are no percentages of zero."""
    if found.above:
        return found.excess
    return f"{found.excess} of 0 allowed" if found.over else f"from 0 to {found.excess}"


def in_words(problem: Problem, verdict: Verdict) -> str:
    """Return what a problem other than an excess says, in one sentence."""
    return "".join(_problem(problem, verdict))


def _problem(problem: Problem, verdict: Verdict) -> Iterator[str]:
    label = METRICS[problem.metric].label if problem.metric else ""
    if problem.kind == "unknown_operators":
        names = [*dict.fromkeys(operator.name for operator in problem.operators)]
        more = f" + {len(names) - 1} more" if len(names) > 1 else ""
        yield f"lower bound: {names[0]}{more} {'has' if len(names) == 1 else 'have'} no formula"
    elif problem.kind == "steeper" and problem.scaling is not None:
        yield f"too steep: {exponent(problem.scaling)}"
    elif problem.kind == "not_measured":
        missing = dict.fromkeys(
            METRICS[problem.metric].label for problem in verdict.problems if problem.kind == "not_measured"
        )
        yield f"not measured: {', '.join(missing)}"
    elif problem.kind == "no_module":
        yield f'no module matches "{problem.module}"'
    elif problem.kind == "new":
        yield "not in the baseline"
    elif problem.kind == "warned" and problem.limit is not None:
        yield f"warn, {'' if problem.module is None else f'{problem.module} '}{label} above {problem.limit.text}"
    else:
        yield "no budget" if problem.severity == "error" else "warn, no budget"


def exponent(scaling: Scaling) -> str:
    """Return how a metric grows with the size of the inputs: ``MACs grow as n^1.91, linear allowed``."""
    label = METRICS[scaling.metric].label
    if scaling.exponent is None:
        return f"{label} follow no power law, {scaling.declared} allowed"
    return f"{label} grow as n^{scaling.exponent:.2f}, {scaling.declared} allowed"


def _fine(verdict: Verdict) -> Status:
    if not verdict.budgeted:
        return Status("unbudgeted", "plain", "new" if is_new(verdict) else "no budget")
    found = findings(verdict)
    rooms = [finding for finding in found if finding.left]
    parts = [f"{rooms[0].left} ({rooms[0].label})"] if rooms else []
    moved = [finding for finding in found if finding.moved and not finding.is_echo]
    if verdict.mode_before:
        parts.append(in_modes(verdict.mode_before, verdict.mode))
    moved.sort(key=lambda finding: -abs((finding.value or 0) - (finding.before or 0)) / (finding.before or 1))
    parts += [
        f"{finding.label} {signed_percent(finding.before or 0, finding.value or 0)}" for finding in moved[:_NAMED]
    ]
    return Status("within", "good", ", ".join(["ok", *parts, *(["new"] if is_new(verdict) else [])]))


def in_modes(before: str, now: str | None) -> str:
    """Return why the costs of a model differ that did not grow: ``measured in eval now, in train before``."""
    return f"measured in {now} now, in {before} before"


def is_new(verdict: Verdict) -> bool:
    """Return whether a model belongs into the baseline, and is not in it yet."""
    return verdict.baseline == "new" and verdict.named


def is_less(verdict: Verdict) -> bool:
    """Return whether a model has become less in something, and more in nothing, since the baseline."""
    pairs = [(check.before, check.value or 0) for check in verdict.checks if check.before is not None]
    changed = [(before, value) for before, value in pairs if before != value]
    return bool(changed) and all(value < before for before, value in changed)


def has_moved(verdict: Verdict) -> bool:
    """Return whether any metric is not what it was in the baseline."""
    return bool(verdict.mode_before) or any(check.before not in (None, check.value) for check in verdict.checks)


def echoes(before: Mapping[str, int | None], after: Mapping[str, int | None]) -> dict[str, str]:
    """Return the metrics whose change follows exactly from that of another, with that other one.

    FLOPs are MACs by the convention; trainable params change by as many as params; and the bytes of weights by that
    number times the bytes of one weight, which are the same before and after.
    """
    moves = {}
    for metric, value in after.items():
        known = before.get(metric)
        if value is not None and known is not None:
            moves[metric] = value - known
    found = {flops: macs for flops, macs in (("flops", "macs"), ("training_flops", "training_macs")) if macs in moves}
    params = moves.get("params", 0)
    if moves.get("trainable_params") == params:
        found["trainable_params"] = "params"
    if moves.get("weight_bytes") in [params * _bytes_of_a_weight(values) for values in (before, after)]:
        found["weight_bytes"] = "params"
    return found


def _bytes_of_a_weight(values: Mapping[str, int | None]) -> int:
    """Return how many bytes the weights of a model have, buffers aside."""
    params, weights = values.get("params") or 0, values.get("weight_bytes") or 0
    return max((size for size in BYTES_OF_A_WEIGHT if size * params <= weights), default=0)


def _excess_of_check(check: Check) -> float:
    """Return the value in relation to the strictest of what it is held against; above 1 it is too much."""
    if check.value is None:
        return float("inf")
    allowed = [value for value in (check.limit.value if check.limit else None, check.allowed) if value is not None]
    ratios = [check.value / value if value else float(1 + check.value) for value in allowed]
    return max(ratios, default=0.0)


def _badness(finding: Finding) -> tuple[bool, bool, bool, float]:
    above, value = finding.above, finding.value or 0
    return not finding.over, not finding.grown, not finding.warned, -(value / above if above else float(value))


def place_of(finding: Finding) -> Place | None:
    """Return where the limit stands that a metric is over, or otherwise how far it may grow."""
    if finding.over and finding.limit is not None:
        return finding.limit.place
    return finding.growth.place if finding.growth is not None and finding.growth.place.path else None
