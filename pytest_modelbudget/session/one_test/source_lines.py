"""Where marks and calls stand in the source, and how to make a failure point there.

pytest keeps no line for a mark, so it is looked up in the syntax tree of the file. A line is given only where the
source there says what the mark says; otherwise the place is the file.
"""

from __future__ import annotations

import ast
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

import pytest

from pytest_modelbudget.budgets import Place
from pytest_modelbudget.session.state import SESSION

_UNKNOWN = object()


def place_of_mark(mark: pytest.Mark, node: Any) -> Place:
    """Return where ``mark``, which belongs to ``node``, was written."""
    what = f"@pytest.mark.{mark.name}"
    for path, statements in _owners(mark, node):
        line = _line_of(mark, statements)
        if line is not None:
            return Place(_relative(path, node.config), line, what)
    return Place(_relative(node.path, node.config), None, what)


def place_of_test(item: pytest.Item) -> Place:
    """Return where ``item`` stands."""
    path, line, _ = item.location
    return Place(path, None if line is None else line + 1)


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


def _owners(mark: pytest.Mark, node: Any) -> Iterator[tuple[Path, list[ast.AST]]]:
    """Yield the files, and the statements in them, that may have given ``node`` its mark."""
    found = getattr(node, "obj", None)
    if isinstance(node, pytest.Function):
        code = getattr(inspect.unwrap(node.function), "__code__", None)
        if isinstance(code, CodeType):
            path = Path(code.co_filename)
            yield path, [part for function in _functions(node, path, code) for part in function.decorator_list]
    elif isinstance(node, pytest.Class):
        for cls in getattr(found, "__mro__", ()):
            if any(made is mark for made in _marks_in(vars(cls).get("pytestmark", ()))):
                path = Path(getattr(sys.modules.get(cls.__module__), "__file__", None) or node.path)
                yield path, list(_class_statements(cls, _tree(node, path)))
    elif isinstance(node, pytest.Module):
        yield node.path, list(_assignments(getattr(_tree(node, node.path), "body", ())))


def _marks_in(value: Any) -> list[Any]:
    """Return the marks of a ``pytestmark``, which holds one or several, each with its decorator or without."""
    return [getattr(made, "mark", made) for made in (value if isinstance(value, (list, tuple)) else [value])]


def _functions(node: pytest.Function, path: Path, code: CodeType) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for part in ast.walk(_tree(node, path) or ast.Module([], [])):
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([part.lineno, *(decorator.lineno for decorator in part.decorator_list)])
            if first == code.co_firstlineno and part.name == code.co_name:
                yield part


def _class_statements(cls: type, tree: ast.Module | None) -> Iterator[ast.AST]:
    found: ast.Module | ast.ClassDef | None = tree
    for name in cls.__qualname__.split("."):
        body = found.body if found else []
        found = next((part for part in body if isinstance(part, ast.ClassDef) and part.name == name), None)
    if isinstance(found, ast.ClassDef):
        yield from found.decorator_list
        yield from _assignments(found.body)


def _assignments(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in targets):
            yield statement


def _line_of(mark: pytest.Mark, statements: list[ast.AST]) -> int | None:
    """Return the line of the first expression that certainly makes this mark, or of the only one that may make it.

    A mark with arguments may be made under another name: ``at_most = pytest.mark.budget``.
    """
    meant = dict[int | str, Any](enumerate(mark.args)) | {**mark.kwargs}
    parts = [part for statement in statements for part in ast.walk(statement)]
    calls = {id(part.func): part for part in parts if isinstance(part, ast.Call)}
    for name in (mark.name, None) if meant else (mark.name,):
        possible = list[int]()
        for part in parts:
            called = getattr(part, "attr", getattr(part, "id", None))
            written = _literals(calls.get(id(part)))
            if called is None or called != (name or called) or written.keys() != meant.keys():
                continue
            line = int(part.lineno)  # type: ignore[attr-defined]  # an expression
            if all(value is not _UNKNOWN and value == meant[key] for key, value in written.items()):
                return line
            possible += [line] * all(value is _UNKNOWN or value == meant[key] for key, value in written.items())
        if len(possible) == 1:
            return possible[0]
    return None


def _literals(call: ast.Call | None) -> dict[int | str, Any]:
    """Return the arguments of a call by their places and names; what is no literal is unknown."""
    found = dict[int | str, Any](enumerate(call.args)) if call else {}
    found |= {keyword.arg or "**": keyword.value for keyword in call.keywords} if call else {}
    for key, node in found.items():
        try:
            found[key] = ast.literal_eval(node)
        except (ValueError, TypeError):
            found[key] = _UNKNOWN
    return found


def _tree(node: Any, path: Path) -> ast.Module | None:
    sources: dict[Path, ast.Module | None] = node.config.stash[SESSION].sources
    if path not in sources:
        try:
            sources[path] = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            sources[path] = None
    return sources[path]


def _relative(path: Path, config: pytest.Config) -> str:
    try:
        return path.relative_to(config.rootpath).as_posix()
    except ValueError:
        return str(path)
