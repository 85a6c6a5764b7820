"""What one test declares, read from its marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from pytest_modelbudget.budgets import BudgetError, Place, Rules, rules_of_mark
from pytest_modelbudget.results.run import SharedMark
from pytest_modelbudget.session.one_test import DECLARED, asks_for_fixture, our_marks, registered_marks
from pytest_modelbudget.session.one_test.source_lines import place_of_mark, place_of_test
from pytest_modelbudget.session.pytest_private import marks_of_parameters
from pytest_modelbudget.session.state import SESSION


@dataclass(frozen=True, slots=True)
class Contract:
    """The rules of a test's marks from the outermost to the closest, and where to show what is wrong with them.

    ``uses_fixture`` tells that the test asks for the fixture ``model_budget`` by name, so that nothing is observed.
    ``shared`` are those of the rules that other tests have too, with the mark of the class or module.
    """

    rules: tuple[Rules, ...]
    place: Place
    uses_fixture: bool
    table_path: str = "pyproject.toml"
    refuses_unbudgeted: bool = False
    shared: tuple[tuple[SharedMark, Rules], ...] = ()

    @property
    def own(self) -> list[Rules]:
        """The rules of marks that no other test has: by itself the test has to measure a model that they speak of."""
        return [rules for rules in self.rules if not any(rules is shared for _, shared in self.shared)]


def contract_of(item: pytest.Item, *, reads_marks: bool = True) -> Contract:
    """Return what ``item`` declares; the marks of a parameter are closer than those of its function.

    Raises BudgetError for a malformed mark, with the place of the mark.
    """
    uses_fixture = asks_for_fixture(item) or DECLARED in item.stash
    found, shared = list[Rules](), list[tuple[SharedMark, Rules]]()
    for node, mark in _outermost_first(item) if reads_marks else ():
        rules = rules_of(node, mark)
        if rules:
            found.append(rules)
            shared += [(SharedMark(node.nodeid, rules.place, rules.model), rules)] if node is not item else []
    closest = found[-1].place if found else None
    place = closest if closest is not None and closest.line is not None else place_of_test(item)
    table = item.config.stash[SESSION].table
    return Contract(tuple(found), place, uses_fixture, table.path, table.unbudgeted == "error", tuple(shared))


def rules_of(node: Any, mark: pytest.Mark) -> Rules | None:
    """Return the rules that a mark declares, or ``None`` where it is another plugin's of the same name.

    Raises BudgetError for a malformed mark, with the place of the mark.
    """
    # We register "budget" ourselves; a second time means that another plugin has such a mark too.
    is_shared, place = registered_marks(node.config).count("budget") > 1, place_of_mark(mark, node)
    try:
        return rules_of_mark(mark.name, mark.args, mark.kwargs, place, shared=is_shared)
    except BudgetError as error:
        error.place = place
        raise


def _outermost_first(item: pytest.Item) -> list[tuple[Any, pytest.Mark]]:
    of_parameters, declared = marks_of_parameters(item), item.stash.get(DECLARED, None)
    # iter_markers yields the marks of a function before those of its parameters, which are closer.
    pairs = [pair for pair in reversed(our_marks(item)) if pair[1] is not declared]
    return sorted(pairs, key=lambda pair: any(pair[1] is mark for mark in of_parameters))
