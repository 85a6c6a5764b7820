"""Where marks and calls stand in the source, and how to make a failure point there.

pytest keeps no line for a mark, so it is looked up in the source of its function, class or module. A line is given
only where the source there says what the mark says; otherwise the place is the file.
"""

from __future__ import annotations

import ast
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

from pytest_modelbudget.budgets import Place
from pytest_modelbudget.session.state import SESSION


def place_of_mark(mark: pytest.Mark, node: Any) -> Place:
    """Return where ``mark``, which belongs to ``node``, was written."""
    what, sources = f"@pytest.mark.{mark.name}", node.config.stash[SESSION].sources
    for owner in _owners(node):
        if owner not in sources:
            sources[owner] = _source_of(owner)
        path, statements = sources[owner]
        line = _line_of(mark, statements)
        if line is not None:
            return Place(_relative(path, node.config), line, what)
    return Place(_relative(node.path, node.config), None, what)


def place_of_test(item: pytest.Item) -> Place:
    """Return where ``item`` stands."""
    path, line, _ = item.location
    return Place(Path(path).as_posix(), None if line is None else line + 1)


def place_of_call(depth: int, config: pytest.Config) -> Place:
    """Return the line of the call that is ``depth`` frames above the caller of this function."""
    frame = sys._getframe(depth + 1)
    return Place(_relative(Path(frame.f_code.co_filename), config), frame.f_lineno, "model_budget()")


def raise_at(error: Exception, place: Place, config: pytest.Config, test: str) -> NoReturn:
    """Raise ``error`` with a traceback that ends at ``place``, as if the line there had raised it."""
    __tracebackhide__ = True
    error.__traceback__ = None  # where the plugin noticed is of no use to the reader
    path = os.path.join(config.rootpath, place.path)  # noqa: PTH118 - a place outside rootdir is absolute already
    code = compile("raise error", path, "exec").replace(co_firstlineno=place.line or 1, co_name=test)
    exec(code, {"error": error})
    raise error


def _owners(node: Any) -> Iterator[Any]:
    """Yield what the marks of a node may have been written on: a function, a class and its bases, a module."""
    if isinstance(node, pytest.Function):
        yield inspect.unwrap(node.function)
    elif isinstance(node, pytest.Class):
        yield from getattr(node.obj, "__mro__", ())
    elif isinstance(node, pytest.Module):
        yield node.obj


def _source_of(owner: Any) -> tuple[Path, list[ast.AST]]:
    """Return the file of a function, class or module, and what may hold marks: decorators, and ``pytestmark``."""
    try:
        path, (lines, first) = Path(inspect.getsourcefile(owner) or ""), inspect.getsourcelines(owner)
        # What is indented can be parsed in a block alone; dedented it would lose strings of several lines.
        head = ["if True:\n"] if lines[0][:1].isspace() else []
        tree = ast.parse("".join([*head, *lines]))
    except (OSError, SyntaxError, TypeError, ValueError, IndexError):
        return Path(), []
    ast.increment_lineno(tree, max(first, 1) - 1 - len(head))  # the first line of a module is 0
    body: list[Any] = tree.body[0].body if head else tree.body  # type: ignore[attr-defined]  # of the block
    decorators: list[ast.AST] = []
    if not isinstance(owner, ModuleType):
        decorators, body = body[0].decorator_list, body[0].body if isinstance(owner, type) else []
    return path, [*decorators, *_assignments(body)]


def _assignments(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in targets):
            yield statement


def _line_of(mark: pytest.Mark, statements: list[ast.AST]) -> int | None:
    """Return the line of the expression that makes this mark, or of the only one that may make it.

    An expression may be one if it has the same name and the same arguments; what is no literal may be any value.
    """
    meant = dict[int | str, Any](enumerate(mark.args)) | {**mark.kwargs}
    possible = []
    for part in (part for statement in statements for part in ast.walk(statement)):
        called = part.func if isinstance(part, ast.Call) else part
        if getattr(called, "attr", getattr(called, "id", None)) == mark.name:
            written = _literals(part) if isinstance(part, ast.Call) else {}
            if written == meant:
                return part.lineno  # type: ignore[attr-defined,no-any-return]  # an expression
            possible += [part.lineno] * (written.keys() == meant.keys())  # type: ignore[attr-defined]
    return possible[0] if len(possible) == 1 else None


def _literals(call: ast.Call) -> dict[int | str, Any]:
    """Return the arguments of a call by their places and names; what is no literal equals nothing."""
    found = {keyword.arg or "**": _literal(keyword.value) for keyword in call.keywords}
    return dict[int | str, Any](enumerate(map(_literal, call.args))) | found


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return object()


def _relative(path: Path, config: pytest.Config) -> str:
    try:
        return path.relative_to(config.rootpath).as_posix()
    except ValueError:
        return path.as_posix()
