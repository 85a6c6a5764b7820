"""Find comparisons with the exact type of a tensor in the source of a function."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import re
import textwrap
import types
from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

import torch

_CALL_OF_TYPE = re.compile(r"(?<![\w.])(?:builtins\.)?type\b(?!\((?:self|cls)\))")
TENSOR_TYPES = frozenset(("Tensor", "Parameter", "Buffer", "FloatTensor", "LongTensor", "IntTensor"))
_NAMES_OF_TYPES = ("__name__", "__qualname__", "__module__")
_NAMES_OF_WEIGHTS = re.compile(r"\bParam(eter)?\b|\bBuffer\b|torch\.nn\.parameter")
_ANY_STRING = "<string>"  # the name of all code that is executed from a string; linecache may know one of them
_LOOK_UPS = ("get", "index", "pop")
_TELL_PEOPLE = frozenset(("critical", "debug", "error", "exception", "info", "log", "warn", "warning", "warning_once"))
_MOST_PARENTS = 8
_ABOUT_CLASSES = ("getattr", "isinstance", "issubclass", "super")
_LONGEST_NAME = 40  # longer texts are documentation
_UNRESOLVED = object()
_TABLES = (tuple, list, set, frozenset, dict)
Use = tuple[ast.expr, tuple[ast.AST, ...]]


def compares_exact_types(function: types.FunctionType, names: set[str], *, surely: bool = False) -> bool:
    """Return whether a function that names ``type`` compares the exact type of what may be a tensor.

    ``names`` are those in its code. With ``surely``, only where the type that it is compared with is known to be that
    of a tensor.
    """
    code = function.__code__
    last = max(code.co_firstlineno, _last_line(code))
    lines = [] if code.co_filename == _ANY_STRING else linecache.getlines(code.co_filename, function.__globals__)
    own = lines[code.co_firstlineno - 1 : last]
    if not any(map(_CALL_OF_TYPE.search, own)):
        return not own and _names_a_tensor_type(function, names)  # where there is no source, the names decide
    uses = _uses_of_type(lines, code.co_firstlineno, last, is_lambda=code.co_name == "<lambda>")
    if uses is None:
        return _names_a_tensor_type(function, names)
    mentioned = not surely and not TENSOR_TYPES.isdisjoint(names)
    return any(
        _asks_for_tensor(node, parents, function, mentioned, surely)
        if _is_type(node)
        else _is_told_apart(node, parents, function, mentioned, surely)
        for node, parents in uses
    )


def _names_a_tensor_type(function: types.FunctionType, names: set[str]) -> bool:
    values = (function.__globals__[name] for name in names & function.__globals__.keys())
    return not TENSOR_TYPES.isdisjoint(names) or any(isinstance(one, type(torch.Tensor)) for one in values)


_MOST_LINES_MORE = 60  # that the last statement of a function goes on


def _uses_of_type(lines: list[str], first: int, last: int, *, is_lambda: bool) -> list[Use] | None:
    """Return every use of an exact type in the lines of a function, or None where they cannot be parsed."""
    for end in range(last, last if is_lambda else min(last + _MOST_LINES_MORE, len(lines)) + 1):
        try:
            return _uses_in(ast.parse(textwrap.dedent("".join(lines[first - 1 : end]))))
        except (SyntaxError, ValueError):
            continue
    try:
        tree = ast.parse("".join(lines))  # a lambda is part of a statement
    except (SyntaxError, ValueError):
        return None
    return [use for use in _uses_in(tree) if first <= use[0].lineno <= last]


def _last_line(code: types.CodeType) -> int:
    lines = [line or 0 for _, _, line in code.co_lines()]
    return max(
        [*lines, *(_last_line(inner) for inner in code.co_consts if isinstance(inner, types.CodeType))], default=0
    )


def _uses_in(tree: ast.AST) -> list[Use]:
    """Return every place that names ``type``, or a variable that holds what it returned."""
    uses = list(_find(tree, ()))
    kinds = [use for use in uses if _is_type(use[0])]
    variables = {variable for name, parents in kinds for variable in _assigned(name, parents)}
    return [*kinds, *(use for use in uses if isinstance(use[0], ast.Name) and use[0].id in variables)]


def _assigned(name: ast.expr, parents: tuple[ast.AST, ...]) -> Iterator[str]:
    """Yield the variables that the exact type of something is assigned to."""
    call, *around = parents
    if isinstance(call, ast.Call) and call.func is name and around:
        statement = next((one for one in around if not isinstance(one, (ast.List, ast.Tuple))), None)
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        names = (one for target in targets for one in getattr(target, "elts", [target]))
        yield from (one.id for one in names if isinstance(one, ast.Name))


def _find(node: ast.AST, parents: tuple[ast.AST, ...]) -> Iterator[Use]:
    """Yield every name that is read, and ``builtins.type``, with the nodes around it, innermost first."""
    if _is_type(node) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)):
        yield node, parents
    for child in ast.iter_child_nodes(node):
        yield from _find(child, (node, *parents[: _MOST_PARENTS - 1]))


def _is_type(node: ast.AST) -> TypeGuard[ast.expr]:
    if isinstance(node, ast.Attribute):
        return node.attr == "type" and isinstance(node.value, ast.Name) and node.value.id == "builtins"
    return isinstance(node, ast.Name) and node.id == "type"


def _asks_for_tensor(
    name: ast.expr, parents: tuple[ast.AST, ...], function: types.FunctionType, mentioned: bool, surely: bool
) -> bool:
    """Return whether what is done with ``type`` may tell a shape tensor from a real one.

    ``mentioned``: the function names a type of tensors somewhere.
    """
    call, *around = parents
    if not (isinstance(call, ast.Call) and call.func is name):
        if isinstance(call, ast.Call) and _called(call) == "map":
            return mentioned or (not surely and not _tells_people(call, around))
        if isinstance(call, ast.Call) and call.args[:1] != [name] and _called(call) not in _ABOUT_CLASSES:
            return not surely  # the key of a grouping
        if isinstance(call, (ast.keyword, ast.arguments)):  # the key of a sort, a default
            return not surely
        return mentioned and not isinstance(call, (ast.arg, ast.AnnAssign))
    if len(call.args) != 1 or isinstance(call.args[0], ast.Constant) or _is_self(call.args[0], function):
        return False
    return _is_told_apart(call, around, function, mentioned, surely)


def _is_told_apart(
    kind: ast.expr, around: Sequence[ast.AST], function: types.FunctionType, mentioned: bool, surely: bool
) -> bool:
    """Return whether the use of an exact type, ``around`` which these nodes are, may tell tensors from others."""
    use = around[0] if around else None
    if _tells_people(kind, around):
        return False
    if _becomes_text(kind, around):
        return _mentions_weights(function.__code__)
    if isinstance(use, ast.NamedExpr):
        return _is_told_apart(use, around[1:], function, mentioned, surely)
    return _use_tells_apart(use, kind, around, function, mentioned, surely)


def _use_tells_apart(
    use: ast.AST | None,
    kind: ast.expr,
    around: Sequence[ast.AST],
    function: types.FunctionType,
    mentioned: bool,
    surely: bool,
) -> bool:
    if isinstance(use, (ast.Compare, ast.Tuple, ast.List, ast.Set)):
        compare = next((one for one in around[:2] if isinstance(one, ast.Compare)), None)
        if compare is not None:
            return _compares_tensor_types(compare, kind, function, surely)
        is_told_apart = isinstance(use, ast.Set) or (len(around) > 1 and _is_look_up(around[1], use))
        return mentioned or (is_told_apart and not surely)
    if isinstance(use, ast.Attribute):
        return _mentions_weights(function.__code__) if use.attr in _NAMES_OF_TYPES else mentioned
    if isinstance(use, (ast.DictComp, ast.GeneratorExp, ast.ListComp, ast.SetComp)):
        if isinstance(around[1], ast.Compare):
            return _compares_tensor_types(around[1], use, function, surely)
        if _becomes_text(use, around[1:]):
            return _mentions_weights(function.__code__)
        parts = (use.key, use.value) if isinstance(use, ast.DictComp) else (use.elt,)
        return mentioned or (kind in parts and not surely)
    if isinstance(use, ast.Subscript) and use.slice is kind:
        return not surely and _may_have_tensor_types(use.value, function)
    if isinstance(use, ast.Return):
        return not surely
    if isinstance(use, ast.Call):
        return use.func is not kind and (mentioned or _tells_types_apart(use, function, surely))
    return mentioned


def _tells_people(kind: ast.expr, around: Sequence[ast.AST]) -> bool:
    """Return whether something is part of an error, of the message of an assertion, or of what is logged or printed."""
    for child, one in zip((kind, *around), around, strict=False):
        if isinstance(one, ast.Raise) or (isinstance(one, ast.Assert) and one.msg is child) or _called(one) == "print":
            return True
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr in _TELL_PEOPLE:
            return True
    return False


def _becomes_text(kind: ast.expr, around: Sequence[ast.AST]) -> bool:
    """Return whether something is written into a text: only the types of weights are called otherwise there."""
    use = around[1] if len(around) > 1 and isinstance(around[0], ast.Tuple) else around[0] if around else None
    if isinstance(use, ast.BinOp):
        return isinstance(use.op, ast.Mod) and _is_text(use.left) and use.left is not kind
    if isinstance(use, ast.Call) and isinstance(use.func, ast.Attribute):
        return use.func.attr == "format" and _is_text(use.func.value)
    return isinstance(use, ast.FormattedValue) or _called(use) in ("repr", "str")


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_look_up(node: ast.AST, key: ast.AST) -> bool:
    """Return whether something is looked up by a key in a table."""
    if isinstance(node, ast.Subscript):
        return node.slice is key
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOOK_UPS


def _called(node: ast.AST | None) -> str:
    """Return the name of what a call calls, where it is a plain name."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _tells_types_apart(call: ast.Call, function: types.FunctionType, surely: bool) -> bool:
    """Return whether what a type is given to may compare it: a look-up, ``isinstance``, a function of the project."""
    if isinstance(call.func, ast.Attribute):
        return not surely and _may_have_tensor_types(call.func.value, function)
    if _called(call) in ("isinstance", "issubclass"):
        return not surely
    code = getattr(inspect.unwrap(_value_of(call.func, function)), "__code__", None)
    return isinstance(code, types.CodeType) and not TENSOR_TYPES.isdisjoint(code.co_names)


def _is_self(argument: ast.expr, function: types.FunctionType) -> bool:
    code = function.__code__
    first = code.co_varnames[0] if code.co_argcount else ""
    return isinstance(argument, ast.Name) and argument.id == first and first in ("self", "cls")


def _compares_tensor_types(compare: ast.Compare, kind: ast.expr, function: types.FunctionType, surely: bool) -> bool:
    """Return whether the other operands may be types of tensors."""
    operands = [operand for operand in (compare.left, *compare.comparators) if operand is not kind]
    return any(_may_be_tensor_type(operand, function, surely) for operand in operands)


def _may_be_tensor_type(node: ast.expr, function: types.FunctionType, surely: bool) -> bool:
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return any(_may_be_tensor_type(item, function, surely) for item in node.elts)
    if isinstance(node, ast.Call):
        is_type = isinstance(node.func, ast.Name) and node.func.id == "type"
        return not surely and is_type and not (node.args and isinstance(node.args[0], ast.Constant))
    if isinstance(node, ast.Constant):
        return False
    value = _value_of(node, function)
    if isinstance(value, _TABLES):
        return _has_tensor_types(value)
    return not surely if value is _UNRESOLVED else isinstance(value, type) and issubclass(value, torch.Tensor)


def _may_have_tensor_types(table: ast.expr, function: types.FunctionType) -> bool:
    value = _value_of(table, function)
    return not isinstance(value, _TABLES) or _has_tensor_types(value)


def _has_tensor_types(value: Any) -> bool:
    """Return whether a table has a type of tensors as an item or key, or as a part of one."""
    values = [part for item in value for part in (item if isinstance(item, tuple) else [item])]
    return any(isinstance(one, type) and issubclass(one, torch.Tensor) for one in values)


def _value_of(node: ast.expr, function: types.FunctionType) -> Any:
    """Return what a name or a chain of attributes refers to, without running any code."""
    if isinstance(node, ast.Name):
        code = function.__code__
        if node.id in code.co_freevars and function.__closure__:
            try:
                return function.__closure__[code.co_freevars.index(node.id)].cell_contents
            except ValueError:
                return _UNRESOLVED
        if node.id in code.co_varnames:
            return _UNRESOLVED
        return function.__globals__.get(node.id, getattr(builtins, node.id, _UNRESOLVED))
    if isinstance(node, ast.Attribute):
        owner = _value_of(node.value, function)
        if isinstance(owner, (types.ModuleType, type)):
            return inspect.getattr_static(owner, node.attr, _UNRESOLVED)
    return _UNRESOLVED


def _mentions_weights(code: types.CodeType) -> bool:
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    texts = [constant for constant in code.co_consts if isinstance(constant, str) and len(constant) < _LONGEST_NAME]
    return any(re.search(_NAMES_OF_WEIGHTS, text) for text in texts) or any(map(_mentions_weights, inner))
