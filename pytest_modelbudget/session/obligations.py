"""What a test owes to its marks once it has run, whatever it measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_modelbudget.budgets import BudgetError, BudgetExceeded

if TYPE_CHECKING:
    from pytest_modelbudget.session.guarded import GuardedTest


def swallowed(lost: BudgetExceeded) -> BudgetError:
    """Return the failure of a test that caught an excess and went on."""
    headline = str(lost).partition("\n")[0]
    return BudgetError(
        f"the test swallowed a BudgetExceeded: {headline}\n"
        "A test that wants an excess measures with pytest_modelbudget.measure, or expects it with "
        "xfail(raises=BudgetExceeded)."
    )


def unmet(guarded: GuardedTest) -> BudgetError | None:
    """Return what is wrong with marks that nothing, or nothing they speak of, was measured under."""
    if not guarded.marked:
        return None
    if not guarded.judged:
        never = "the test never called model_budget" if guarded.uses_fixture else "the test called no module"
        return BudgetError(f"budget declared, but no model was measured: {never}")
    return _selects_nothing(guarded) or _names_several(guarded) or _limits_nothing(guarded)


def _names(guarded: GuardedTest) -> list[str]:
    return sorted({one.verdict.model for one in guarded.judged})


def _selects_nothing(guarded: GuardedTest) -> BudgetError | None:
    for mark in guarded.declarations:
        if not any(mark.selects(one.verdict.model, one.original_name) for one in guarded.judged):
            measured = ", ".join(_names(guarded))
            return BudgetError(f'no measured model is called "{mark.model}" ({mark.place}); measured: {measured}')
    return None


def _names_several(guarded: GuardedTest) -> BudgetError | None:
    """Refuse one name for several models of a test; what the fixture measures may be one model, time and again."""
    if guarded.uses_fixture:
        return None
    for mark in (mark for mark in guarded.declarations if mark.name):
        named = [one.original_name for one in guarded.judged if mark.selects(one.original_name)]
        if len(named) > 1:
            return BudgetError(
                f'name="{mark.name}" at {mark.place} would name {len(named)} models ({", ".join(sorted(named))}); '
                "say which with model="
            )
    return None


def _limits_nothing(guarded: GuardedTest) -> BudgetError | None:
    if any(one.verdict.budgeted for one in guarded.judged) or any(mark.limits for mark in guarded.declarations):
        return None
    names = _names(guarded)
    return BudgetError(
        f"budget declared, but no limit applies to {', '.join(names)}: give the mark one, or add "
        f"[tool.modelbudget.models.{names[0]}] to {guarded.session.table.path}"
    )
