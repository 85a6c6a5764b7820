"""What becomes of a test under a budget: a pure function of what it declares and of what has happened in it."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from pytest_modelbudget.budgets import BudgetError, BudgetExceeded
from pytest_modelbudget.budgets.config import ROOT, key_path
from pytest_modelbudget.measurement import MeasurementError
from pytest_modelbudget.reports.wording import outside_of_modules
from pytest_modelbudget.session.one_test.contract import Contract
from pytest_modelbudget.session.one_test.record import Failure, Record

SKIPS = (pytest.skip.Exception, unittest.SkipTest)
GIVES_UP = (*SKIPS, pytest.xfail.Exception)
"""What a test raises that does not want to be judged."""
OURS = (BudgetExceeded, BudgetError, MeasurementError)
"""What the plugin raises; everything else that a measurement raises is the model's own."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a phase of a test ended.

    ``raised`` is what left it, and ``fails`` tells that pytest will report a failure whatever is decided.
    ``expects_excess``: an xfail applies that expects BudgetExceeded. ``must_measure``: by now the test has to have
    measured what its marks speak of.
    """

    raised: BaseException | None = None
    fails: bool = False
    expects_excess: bool = False
    must_measure: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a test: it keeps its own outcome, an xfail may excuse what failed, or it fails with ``error``.

    An excess that an xfail may excuse is an ``error`` to raise too, where the test itself has raised nothing.
    """

    verdict: Literal["keep", "excuse", "fail"] = "keep"
    error: Exception | None = None


def decide(contract: Contract, record: Record, ending: Ending) -> Decision:
    """Decide on the failures since the last decision, and on marks under which nothing was measured.

    A test that fails by itself keeps its failure: it is told nothing more.
    """
    # pytest shows the test's own failure; ours would hide it.
    if ending.fails:
        return Decision()
    lost = _lost(record, ending)
    if lost is None and ending.must_measure:
        lost = _unmet(contract, record)
    if lost is not None:
        return Decision("fail", lost)
    if not record.undecided:
        return Decision()
    # An xfail excuses only what is raised: raise the excess where the test has raised nothing itself.
    raises_nothing = ending.raised is None or isinstance(ending.raised, SKIPS)
    return Decision("excuse", record.undecided[0].error if raises_nothing else None)


def _lost(record: Record, ending: Ending) -> Exception | None:
    """Return what to raise for the first failure that the end of the phase neither shows nor may excuse."""
    for failure in record.undecided:
        shown = not isinstance(ending.raised, GIVES_UP) and shows(ending.raised, failure.error)
        # What observing found was not raised yet, so the test cannot have caught it.
        if failure.raised and not shown:
            return _swallowed(failure.error)
        if not _is_excused(failure, ending):
            return failure.error
    return None


def _is_excused(failure: Failure, ending: Ending) -> bool:
    """Return whether an xfail excuses a failure: an excess if it expects one, and what is the model's own."""
    error = failure.error
    if isinstance(error, BudgetExceeded):
        problems = [problem for verdict in error.verdicts for problem in verdict.errors]
        return ending.expects_excess and all(problem.is_excusable for problem in problems)
    return not isinstance(error, OURS)


def _swallowed(lost: Exception) -> BudgetError:
    """Return the failure of a test that caught one of ours and went on."""
    headline = str(lost).partition("\n")[0]
    return BudgetError(
        f"the test swallowed a {type(lost).__name__}: {headline}\nWhat is expected to fail is measured with "
        "pytest_modelbudget.measure, which judges nothing; an excess may be expected with xfail(raises=BudgetExceeded)."
    )


def shows(raised: BaseException | None, error: BaseException) -> bool:
    """Return whether ``error`` is ``raised``, or shown with it: as its cause, in its group, by a doctest.

    One that says the same will do: what runs a test several times, as hypothesis does, shows the last one.
    """
    return any(
        shown is error or (type(shown) is type(error) and str(shown) == str(error))
        for shown in _shown_with(raised, set())
    )


def _shown_with(raised: Any, seen: set[int]) -> Iterator[BaseException]:
    if not isinstance(raised, BaseException) or id(raised) in seen:
        return
    seen.add(id(raised))
    yield raised
    wrapped = getattr(raised, "exc_info", None)  # doctest.UnexpectedException
    below = [raised.__cause__, raised.__context__, *(wrapped if isinstance(wrapped, tuple) else ())]
    for members in ("exceptions", "failures"):  # ExceptionGroup, pytest's MultipleDoctestFailures
        below += getattr(raised, members, None) or ()
    for exception in below:
        yield from _shown_with(exception, seen)


def _unmet(contract: Contract, record: Record) -> BudgetError | None:
    """Return what is wrong with the marks of a test that has ended, or ``None``."""
    if not record.measured:
        return _nothing_measured(contract, record)
    if not contract.rules:
        return None
    return _selects_nothing(contract, record) or _names_several(contract, record) or _limits_nothing(contract, record)


def _nothing_measured(contract: Contract, record: Record) -> BudgetError | None:
    if contract.own:
        never = "the test never called model_budget" if record.requested_fixture else "the test called no module"
        if record.traced_under:
            never = f"its modules ran under {', '.join(sorted(record.traced_under))}, where nothing is computed"
        ran = f", and {outside_of_modules(record.outside)}" if record.outside else ""
        return BudgetError(f"budget declared, but no model was measured: {never}{ran}")
    if contract.refuses_unbudgeted and record.never_called_fixture:
        return BudgetError('the test asked for model_budget and never called it, and unbudgeted = "error"')
    return None


def _names(record: Record) -> list[str]:
    return sorted({found.verdict.model for found in record.measured})


def _selects_nothing(contract: Contract, record: Record) -> BudgetError | None:
    for rules in contract.own:
        if not record.meets(rules):
            measured = ", ".join(_names(record))
            parts = [part.name for found in record.measured for part in found.parts() if part.name]
            is_part = any(map(rules.selects, parts))
            hint = f'. That is a module of one: module="{rules.model}" limits it' if is_part else ""
            return BudgetError(
                f'no measured model is called "{rules.model}" ({rules.place}); measured: {measured}{hint}'
            )
    return None


def _names_several(contract: Contract, record: Record) -> BudgetError | None:
    """Refuse one name for several models of a test; what the fixture measures may be one model, time and again."""
    for rules in (rules for rules in contract.rules if rules.name and not record.requested_fixture):
        named = {found.module: found.original_name for found in record.measured if rules.selects(found.original_name)}
        if len(named) > 1:
            names = ", ".join(sorted(named.values()))
            return BudgetError(
                f'name="{rules.name}" at {rules.place} would name {len(named)} models ({names}); say which with model='
            )
    return None


def _limits_nothing(contract: Contract, record: Record) -> BudgetError | None:
    limits = [limit for rules in contract.rules for limit in rules.limits.values()]
    if any(found.verdict.budgeted for found in record.measured) or any(limit is not None for limit in limits):
        return None
    names = _names(record)
    return BudgetError(
        f"budget declared, but no limit applies to {', '.join(names)}: give one to the mark, or to the model in "
        f"{contract.table_path}: [{key_path((*ROOT, 'models', names[0]))}]"
    )
