"""What was judged: checks, and the problems of those that did not hold."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from pytest_modelbudget.budgets.growth import Growth
from pytest_modelbudget.budgets.limits import Limit
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.measurement import Mode, OperatorCost, TensorSpec

Kind = Literal[
    "over", "grown", "unknown_operators", "steeper", "not_measured", "no_module", "unbudgeted", "new", "warned"
]
"""What is wrong, the most telling first."""

Severity = Literal["error", "warning"]


class Check(Struct, frozen=True, omit_defaults=True):
    """One metric held against its limit, the threshold of its warning, and its baseline; all are inclusive.

    ``value`` is ``None`` where a limit applies to a metric that was not measured. ``before`` is the value in the
    baseline, ``growth`` how far it may rise above that, and ``allowed`` the largest value that this allows. ``module``
    is the part of the model that is meant, by its qualified name; ``None`` is the model.
    """

    metric: str
    value: int | None = None
    limit: Limit | None = None
    warn: Limit | None = None
    before: int | None = None
    growth: Growth | None = None
    allowed: int | None = None
    module: str | None = None

    @property
    def subject(self) -> str:
        """What is held against its limit: ``macs``, or ``layer4 macs`` for a part of a model."""
        return _subject(self.module, self.metric)


class Scaling(Struct, frozen=True, omit_defaults=True):
    """How a metric grows with a size of the inputs: value over size at each of the ``points``.

    ``exponent`` is that of the fitted power law (``None`` where none fits), ``declared`` and ``allowed`` the steepest
    one that is allowed.
    """

    metric: str
    declared: str
    allowed: float
    exponent: float | None = None
    points: tuple[tuple[int, int], ...] = ()


class Problem(Struct, frozen=True, omit_defaults=True):
    """Something that fails or warns, and the parts of the sentence that says so.

    ``limit`` is what ``value`` is above, or, where it is ``None``, what could not be checked: for ``warned`` the
    threshold of the warning. ``before`` is the baseline that ``grown`` is above, by more than ``growth``.
    ``operators`` are those without a formula that ran. ``place`` is where the rule behind the problem stands, if one
    does. ``module`` is the part of the model that is meant; for ``no_module`` it is the pattern that matches none, and
    ``nearest`` are the names most like it.
    """

    kind: Kind
    severity: Severity
    place: Place | None = None
    metric: str = ""
    value: int | None = None
    limit: Limit | None = None
    before: int | None = None
    growth: Growth | None = None
    operators: tuple[OperatorCost, ...] = ()
    module: str | None = None
    nearest: tuple[str, ...] = ()
    scaling: Scaling | None = None

    @property
    def subject(self) -> str:
        """What the problem is about: ``macs``, or ``layer4 macs`` for a part of a model."""
        return _subject(self.module, self.metric)

    @property
    def is_excess(self) -> bool:
        """Whether a metric is above what is allowed."""
        return self.kind in ("over", "grown")

    @property
    def is_excusable(self) -> bool:
        """Whether ``xfail`` may expect the problem: an excess, or a growth with the inputs that is too steep."""
        return self.is_excess or self.kind == "steeper"


class Verdict(Struct, frozen=True, omit_defaults=True):
    """The checks and problems of one measurement.

    A model's identity is its name and its ``inputs``; ``named`` tells a name that the user gave from the class.
    ``checks`` has every metric that was measured or limited, ``parts`` what is limited of its modules, and ``problems``
    the errors before the warnings. ``message`` is the project's note on its budget. ``baseline`` tells whether the
    project has a baseline, and this model in it. ``mode`` is that in which the model ran, and ``mode_before`` that of
    the baseline, where it is another and the model costs another amount: such costs are not compared. With ``ranks``
    the model is rank 0 of so many.
    """

    model: str
    named: bool
    checks: tuple[Check, ...]
    problems: tuple[Problem, ...] = ()
    inputs: tuple[TensorSpec, ...] = ()
    message: str | None = None
    baseline: Literal["none", "new", "known"] = "none"
    parts: tuple[Check, ...] = ()
    scaling: tuple[Scaling, ...] = ()
    mode: Mode | None = None
    mode_before: Mode | None = None
    ranks: int | None = None

    @property
    def name(self) -> str:
        """The name of the model, as measurements and results call it."""
        return self.model

    @property
    def budgeted(self) -> bool:
        """Whether any limit applies, or the model is in the baseline."""
        checks = (*self.checks, *self.parts)
        limited = any(check.limit or check.warn for check in checks)
        return self.baseline == "known" or limited or bool(self.scaling)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that fail the test."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def over(self) -> tuple[Problem, ...]:
        """The problems that are excesses: over a limit, or grown beyond the baseline."""
        return tuple(problem for problem in self.problems if problem.is_excess)

    @property
    def excusable(self) -> tuple[Problem, ...]:
        """The problems that ``xfail`` may expect."""
        return tuple(problem for problem in self.problems if problem.is_excusable)

    @property
    def unknown(self) -> tuple[OperatorCost, ...]:
        """The operators that have no formula; with any of them the values of compute are lower bounds."""
        return tuple(operator for problem in self.problems for operator in problem.operators)


def _subject(module: str | None, metric: str) -> str:
    return metric if module is None else f"{module or 'the model'} {metric}"
