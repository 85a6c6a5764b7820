"""What one run of pytest knows: its table, and on the controller the results of its tests.

This is the room that ties pytest to the others. Everything here that a run without budgets needs is in this file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import ast

    from pytest_modelbudget.budgets import Table, Verdict
    from pytest_modelbudget.session.guarded import GuardedTest


@dataclass(slots=True)
class Session:
    """The state of one run; it lives in ``config.stash``.

    ``table_data`` is the project's table as builtins: the controller reads it once, and hands it to its workers.
    ``results`` holds the verdicts of each test by node id, as the reports brought them.
    """

    config: pytest.Config
    is_controller: bool
    table_data: dict[str, Any] | None
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    lost_workers: list[str] = field(default_factory=list)
    reporting_gates: bool = False
    sources: dict[Path, ast.Module | None] = field(default_factory=dict)
    _table: Table | None = None
    _knows_formulas: bool = False

    @classmethod
    def start(cls, config: pytest.Config) -> Session:
        """Return the state at the start of a run. Raises pytest.UsageError for a table with mistakes."""
        workerinput = getattr(config, "workerinput", None)
        if workerinput is not None:
            return cls(config, False, workerinput.get("modelbudget"))
        from pytest_modelbudget.session.tables import find_table

        return cls(config, True, find_table(config))

    @property
    def in_use(self) -> bool:
        """Whether this run has anything to do with budgets."""
        return self.table_data is not None or bool(self.results)

    @property
    def table(self) -> Table:
        """The project's table, or an empty one."""
        if self._table is None:
            import msgspec

            from pytest_modelbudget.budgets import Table

            self._table = msgspec.convert(self.table_data or {}, Table)
        return self._table

    @property
    def verdicts(self) -> dict[str, list[Verdict]]:
        """The verdicts of each test by node id."""
        import msgspec

        from pytest_modelbudget.budgets import Verdict

        return {test: msgspec.convert(found, list[Verdict]) for test, found in self.results.items()}

    def counting(self) -> ModuleType:
        """Return the engine, with the formulas that the project's hooks give."""
        from pytest_modelbudget import counting
        from pytest_modelbudget.budgets import BudgetError

        if not self._knows_formulas:
            for formulas in self.config.hook.pytest_modelbudget_formulas():
                if not isinstance(formulas, dict):
                    kind = type(formulas).__name__
                    raise BudgetError(f'pytest_modelbudget_formulas returned {kind}; return a dict {{"ns::op": f}}')
                for operator, formula in formulas.items():
                    counting.formula(operator)(formula)
            self._knows_formulas = True
        return counting


SESSION: pytest.StashKey[Session] = pytest.StashKey()
GUARDED: pytest.StashKey[GuardedTest] = pytest.StashKey()


def has_mark(item: pytest.Item) -> bool:
    """Tell whether ``item`` carries a mark that may be ours."""
    return any(mark.name in ("budget", "modelbudget") for mark in item.iter_markers())
