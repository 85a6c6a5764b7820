"""What is wrong with marks under which nothing, or nothing that they speak of, was measured."""

from __future__ import annotations

from pytest_modelbudget.budgets import BudgetError
from pytest_modelbudget.budgets.config import ROOT, key_path
from pytest_modelbudget.reports.wording import outside_of_modules
from pytest_modelbudget.session.one_test.contract import Contract
from pytest_modelbudget.session.one_test.record import Record


def unmet(contract: Contract, record: Record) -> BudgetError | None:
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
    if record.requested_fixture:
        return None
    for rules in (rules for rules in contract.rules if rules.name):
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
