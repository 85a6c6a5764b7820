"""What a test still has to fail with, given what it declares and what has happened in it."""

from __future__ import annotations

import unittest
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from pytest_modelbudget.budgets import BudgetError, BudgetExceeded
from pytest_modelbudget.budgets.config import ROOT, key_path
from pytest_modelbudget.measurement import OperatorCost
from pytest_modelbudget.reports.message import failure
from pytest_modelbudget.reports.wording import outside_of_modules
from pytest_modelbudget.session.one_test.contract import Contract
from pytest_modelbudget.session.one_test.record import Failure, Measured, Record
from pytest_modelbudget.session.one_test.shown_with import carries

GIVEN_UP = (pytest.skip.Exception, pytest.xfail.Exception, unittest.SkipTest)
"""What a test raises that does not want to be judged."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a phase of a test ended: what it raised, whether pytest reports that as a failure, and whether an xfail
    that applies expects BudgetExceeded.

    ``after_call``: it was a phase after the call; ``failed_in_part``: a subtest has failed.
    """

    raised: BaseException | None = None
    fails: bool = False
    expects_excess: bool = False
    after_call: bool = False
    failed_in_part: bool = False


def conclude(contract: Contract, record: Record, outcome: Outcome) -> Exception | None:
    """Return what a test whose call has ended still has to fail with, or ``None``."""
    if outcome.fails:
        return None
    lost = lost_failure(record, outcome)
    if lost is not None or isinstance(outcome.raised, GIVEN_UP) or outcome.failed_in_part:
        return lost
    return _unmet(contract, record)


def conclude_teardown(contract: Contract, record: Record) -> Exception | None:
    """Return what a test whose teardown has ended still has to fail with, or ``None``."""
    lost = lost_failure(record, Outcome(after_call=True))
    return conclude(contract, record, Outcome()) if lost is None and record.postponed else lost


def lost_failure(record: Record, outcome: Outcome) -> Exception | None:
    """Return the first failure that ``outcome`` neither shows nor may excuse, as it has to be raised."""
    if outcome.fails:
        return None
    for kept in record.failures:
        if kept.shown or (kept.left and outcome.after_call):
            continue
        carried = carries(outcome.raised, kept.error) and not isinstance(outcome.raised, GIVEN_UP)
        if kept.raised and not carried:
            return _swallowed(kept.error)
        if not _excused(kept, outcome):
            return kept.error
    return None


def _excused(failure: Failure, outcome: Outcome) -> bool:
    """Return whether an xfail excuses a failure; an excess only if it expects one."""
    return failure.excusable and (outcome.expects_excess or not isinstance(failure.error, BudgetExceeded))


def _swallowed(lost: Exception) -> BudgetError:
    """Return the failure of a test that caught one of ours and went on."""
    headline = str(lost).partition("\n")[0]
    remedy = (
        "A test that wants an excess measures with pytest_modelbudget.measure, or expects it with "
        "xfail(raises=BudgetExceeded)."
        if isinstance(lost, BudgetExceeded)
        else "What is expected to fail is measured with pytest_modelbudget.measure, which judges nothing."
    )
    return BudgetError(f"the test swallowed a {type(lost).__name__}: {headline}\n{remedy}")


def _unmet(contract: Contract, record: Record) -> BudgetError | None:
    """Return what is wrong with marks that nothing, or nothing they speak of, was measured under."""
    if not contract.own and not record.measured:
        return _uses_nothing(contract, record)
    if not record.measured:
        never = "the test never called model_budget" if record.requested_fixture else "the test called no module"
        if record.unobserved and not record.requested_fixture:
            never = "its mark was added when the call had begun, too late for observing it"
        if record.traced_under:
            never = f"its modules ran under {', '.join(sorted(record.traced_under))}, where nothing is computed"
        ran = f", and {outside_of_modules(record.outside)}" if record.outside else ""
        return BudgetError(f"budget declared, but no model was measured: {never}{ran}")
    if not contract.marked:
        return None
    return _selects_nothing(contract, record) or _names_several(contract, record) or _limits_nothing(contract, record)


def _uses_nothing(contract: Contract, record: Record) -> BudgetError | None:
    if contract.refuses_unbudgeted and record.never_called_fixture:
        return BudgetError('the test asked for model_budget and never called it, and unbudgeted = "error"')
    return None


def _names(record: Record) -> list[str]:
    return sorted({one.verdict.model for one in record.measured})


def _selects_nothing(contract: Contract, record: Record) -> BudgetError | None:
    for rules in contract.own:
        if not record.meets(rules):
            measured = ", ".join(_names(record))
            part = any(one.name and rules.selects(one.name) for found in record.measured for one in found.parts())
            hint = f'. That is a module of one: module="{rules.model}" limits it' if part else ""
            return BudgetError(
                f'no measured model is called "{rules.model}" ({rules.place}); measured: {measured}{hint}'
            )
    return None


def _names_several(contract: Contract, record: Record) -> BudgetError | None:
    """Refuse one name for several models of a test; what the fixture measures may be one model, time and again."""
    if record.requested_fixture:
        return None
    for rules in (rules for rules in contract.rules if rules.name):
        named = {one.module: one.original_name for one in record.measured if rules.selects(one.original_name)}
        if len(named) > 1:
            names = ", ".join(sorted(named.values()))
            return BudgetError(
                f'name="{rules.name}" at {rules.place} would name {len(named)} models ({names}); say which with model='
            )
    return None


def _limits_nothing(contract: Contract, record: Record) -> BudgetError | None:
    limits = [limit for rules in contract.rules for limit in rules.limits.values()]
    if any(one.verdict.budgeted for one in record.measured) or any(limit is not None for limit in limits):
        return None
    names = _names(record)
    return BudgetError(
        f"budget declared, but no limit applies to {', '.join(names)}: give one to the mark, or to the model in "
        f"{contract.table_path}: [{key_path((*ROOT, 'models', names[0]))}]"
    )


def failure_of(measured: Sequence[Measured], outside: Sequence[OperatorCost] = ()) -> Exception | None:
    """Return the failure for what was judged, or ``None`` where no verdict has an error.

    ``outside`` are the operators that ran outside of any module.
    """
    verdicts = tuple(one.verdict for one in measured)
    if not any(verdict.errors for verdict in verdicts):
        return None
    message = failure([(one.verdict, one.measurement, one.differences) for one in measured], outside)
    over = any(verdict.excusable for verdict in verdicts)
    return BudgetExceeded(message, verdicts) if over else BudgetError(message)
