"""What one test declares, read from its marks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_modelbudget.budgets import BudgetError, Place, Rules, rules_of_mark
from pytest_modelbudget.metrics import needing
from pytest_modelbudget.results.run import SharedMark
from pytest_modelbudget.session.one_test.source_lines import place_of_mark, place_of_test
from pytest_modelbudget.session.pytest_private import fixture_names, marks_of_parameters
from pytest_modelbudget.session.state import DECLARED, READ, RULES, SESSION, our_marks, our_marks_with_nodes


@dataclass(frozen=True, slots=True)
class Contract:
    """The rules of a test's marks from the outermost to the closest, and where to show what is wrong with them.

    ``marks`` are those that were read, whosever they are; ``uses_fixture`` tells that the test asks for the fixture
    ``model_budget`` by name, so that nothing is observed. ``shared`` are those of the rules that other tests have too,
    with the mark of the class or module.
    """

    rules: tuple[Rules, ...]
    place: Place
    uses_fixture: bool
    marks: tuple[pytest.Mark, ...]
    table_path: str = "pyproject.toml"
    refuses_unbudgeted: bool = False
    shared: tuple[tuple[SharedMark, Rules], ...] = ()

    @classmethod
    def without_marks(cls, item: pytest.Item) -> Contract:
        """Return the contract of a test whose marks have not been read."""
        table = item.config.stash[SESSION].table
        return cls((), place_of_test(item), _measures(item), (), table.path, table.unbudgeted == "error")

    @property
    def own(self) -> list[Rules]:
        """The rules of marks that no other test has: by itself the test has to measure a model that they speak of."""
        return [rules for rules in self.rules if not any(rules is other for _, other in self.shared)]

    @property
    def marked(self) -> bool:
        """Whether any mark of the test is ours."""
        return bool(self.rules)


def contract_of(item: pytest.Item) -> Contract:
    """Return what ``item`` declares; the marks of a parameter are closer than those of its function.

    Raises BudgetError for a malformed mark, with the place of the mark.
    """
    names, uses_fixture = fixture_names(item), _measures(item)
    of_parameters = marks_of_parameters(item)
    read = item.stash[READ] = (*our_marks_with_nodes(item),)
    outer_first = [pair for pair in reversed(read) if pair[1] is not item.stash.get(DECLARED, None)]
    pairs = sorted(outer_first, key=lambda pair: any(pair[1] is mark for mark in of_parameters))
    shared, known = item.config.stash[SESSION].shares_mark, item.stash.setdefault(RULES, {})
    found, shared_marks = [], []
    for node, mark in pairs:
        place = place_of_mark(mark, node)
        try:
            if id(mark) not in known:
                known[id(mark)] = rules_of_mark(mark.name, mark.args, mark.kwargs, place, shared=shared)
            rules = known[id(mark)]
            if rules is not None and not uses_fixture and "request" not in names:
                refuse_training(rules)
        except BudgetError as error:
            error.place = place
            raise
        found += [rules] if rules else []
        if rules and node is not item:
            shared_marks.append((SharedMark(node.nodeid, place, rules.model), rules))
    closest = found[-1].place if found else None
    place = closest if closest is not None and closest.line is not None else place_of_test(item)
    table = item.config.stash[SESSION].table
    marks, is_strict = tuple(our_marks(item)), table.unbudgeted == "error"
    return Contract(tuple(found), place, uses_fixture, marks, table.path, is_strict, tuple(shared_marks))


def _measures(item: pytest.Item) -> bool:
    return "model_budget" in fixture_names(item) or DECLARED in item.stash


def refuse_training(rules: Rules) -> None:
    """Raise BudgetError where rules limit what observing cannot measure."""
    limited = [metric for metric in needing("backward") if rules.limits.get(metric)]
    if limited:
        raise BudgetError(
            f"{limited[0]} at {rules.place}: observing runs no backward pass; limits on training need the "
            "model_budget fixture"
        )
