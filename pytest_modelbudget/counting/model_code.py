"""What the code of a model asks of its tensors that a shape run cannot answer, nor notice.

A shape tensor is a tensor, but not of exactly the type that a real one is. A model whose own code compares exact types
(``type(x) is torch.Tensor``, a dict keyed by type), or calls methods past every mode, belongs to a real run. The code
tells: that of ``forward`` and of all that it may reach by name, in the project or in the same files of an installed
package.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import types
from collections.abc import Collection, Iterable, Iterator
from operator import attrgetter
from typing import Any
from weakref import ref

import torch
from torch import nn

from pytest_modelbudget.counting.origins import is_user_code
from pytest_modelbudget.counting.references import functions_in, items_of, layers_of, names_in, values_of
from pytest_modelbudget.counting.torch_private import any_dispatch_mode, dlpack_functions
from pytest_modelbudget.counting.type_comparisons import TENSOR_TYPES, compares_exact_types

_STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"] + os.sep
_SITE_PACKAGES = f"{os.sep}site-packages{os.sep}"
_FLAGS_OF_TENSORS = frozenset(("is_conj", "is_neg", "is_set_to", "resolve_conj", "resolve_neg"))
_NAMES_PAST_MODES = frozenset(("apply_", "data_ptr", "map2_", "map_", "numpy", "tolist", "untyped_storage"))
_BASES = frozenset(("__base__", "__bases__", "__mro__", "mro", "super"))
_FUNCTIONS_PAST_MODES = (
    torch.tensor_split,
    torch.Tensor.tensor_split,
    *(vars(one)[name] for one, name in dlpack_functions),
)
_PAST_EVERY_MODE = {id(one): one for one in (*attrgetter(*_NAMES_PAST_MODES)(torch.Tensor), *_FUNCTIONS_PAST_MODES)}
"""What sees no mode, by identity. Where code names it by itself, nothing can be put in its place."""
_ALWAYS_RUN = (
    *(
        "__call__",
        "forward",
        "__init__",
        "__getattr__",
        "__torch_function__",
        "__getitem__",
        "__contains__",
        "__bool__",
    ),
    *(f"__{name}__" for name in ("eq", "ne", "lt", "le", "gt", "ge", "add", "radd", "sub", "mul", "rmul", "matmul")),
    *("__enter__", "__exit__", "__iter__", "__next__", "__len__", "__missing__", "__get__", "__index__", "__or__"),
)
"""The methods that run without being named."""
_MOST_FUNCTIONS = 2000
_MOST_REMEMBERED = 256
_of_models: dict[Any, tuple[list[ref[Any]], bool]] = {}


def needs_real_tensors(
    classes: Iterable[type],
    helpers: Iterable[type],
    functions: Iterable[Any],
    method: str = "forward",
    *,
    factory: Any = None,
) -> bool:
    """Return whether the code of a model asks for what only real tensors have when its ``method`` is called.

    ``classes`` are those of its modules, ``helpers`` those of the plain objects that they hold, ``functions`` what they
    hold beside, such as hooks. Where a ``factory`` built the model meanwhile, it ran too, and so did the constructors;
    of those only the code counts that is in the same files: what builds models in general looks at many types.
    """
    modules, others = (frozenset([kind for kind in kinds if _is_own(kind)]) for kinds in (classes, helpers))
    layers = [layer for function in functions for layer in layers_of(function)]
    if not _PAST_EVERY_MODE.keys().isdisjoint(map(id, layers)):
        return True
    if any(issubclass(kind, any_dispatch_mode) for kind in others):
        return True  # without autograd it would see other operators
    plain = [layer for layer in layers if isinstance(layer, types.FunctionType)]
    builders = list(functions_in(factory))
    key = tuple(tuple(map(id, kind)) for kind in (modules, others, plain, builders)), factory is None, method
    references, found = _of_models.get(key, (None, False))
    if references is None or any(reference() is None for reference in references):
        walk = _Walk([*modules, *others])
        starts = dict.fromkeys(("forward", method))
        found = walk.run([*(one for name in starts for one in _methods_of(modules, name)), *plain])
        if factory is not None:
            walk.only_in = frozenset(one.__module__ for one in (*modules, *builders))
            found |= walk.run([*_methods_of(modules, "__init__"), *builders])
        if len(_of_models) >= _MOST_REMEMBERED:
            _of_models.clear()
        _of_models[key] = ([ref(one) for one in (*modules, *others, *plain, *builders)], found)
    return found


def _methods_of(classes: Iterable[type], name: str) -> Iterator[types.FunctionType]:
    for kind in classes:
        yield from functions_in(getattr(kind, name, None))


def _package_of(item: Any) -> str:
    return str(item.__module__).partition(".")[0]


def _is_own(kind: type) -> bool:
    """Return whether the code of a class is not torch's, nor Python's."""
    return _package_of(kind) not in ("torch", "builtins", "collections", "numpy")


class _Walk:
    """A walk through the functions that some code may reach by the names in it.

    ``only_in`` bounds it to some modules, where only comparisons with what is surely a type of tensors are found.
    """

    def __init__(self, owners: Collection[type]) -> None:
        self.only_in: frozenset[str] | None = None
        self._methods: dict[str, list[Any]] = {}
        self._owners: set[type] = set()
        self._seen: set[types.CodeType] = set()
        self._names: set[str] = set(_ALWAYS_RUN)
        self._pending: list[types.FunctionType] = []
        self._asks_for_more = False
        self._homes = {owner.__module__ for owner in owners}
        for owner in owners:
            self._add_methods(owner)

    def run(self, start: Iterable[types.FunctionType]) -> bool:
        """Return whether a function that is reached from ``start`` asks for what only real tensors have."""
        found = False
        start = list(start)
        self._pending += start
        self._homes.update([function.__module__ for function in start])
        while self._pending and len(self._seen) < _MOST_FUNCTIONS:
            function = self._pending.pop()
            if function.__code__ in self._seen or (self.only_in and function.__module__ not in self.only_in):
                continue
            if self._is_own_code(function):
                self._seen.add(function.__code__)
                found |= self._visit(function)
                if found:
                    break
        return found

    def _is_own_code(self, function: types.FunctionType) -> bool:
        """Return whether code is the project's, or in an installed file that classes of the model are from."""
        path = function.__code__.co_filename
        if _SITE_PACKAGES in path:
            return function.__module__ in self._homes and is_user_code(function.__code__)
        return path == "<string>" or (is_user_code(function.__code__) and not path.startswith(_STANDARD_LIBRARY))

    def _visit(self, function: types.FunctionType) -> bool:
        names = set(names_in(function.__code__))
        if "getattr" in names:
            texts = tuple([one for one in function.__code__.co_consts if isinstance(one, str) and one.isidentifier()])
            names |= {name for name in self._methods if name.startswith(texts)}
        for name in (names - self._names) & self._methods.keys():
            for value in self._methods[name]:
                self._queue(value)
        self._names |= names
        values = list(values_of(function, names))
        for value in values:
            self._reach(value, names)
        if self._asks_for_more or not _FLAGS_OF_TENSORS.isdisjoint(names) or _asks_a_base_of_tensors(names):
            return True
        if "type" in names:
            return compares_exact_types(function, names, surely=self.only_in is not None)
        return any(value is type for value in values) and not TENSOR_TYPES.isdisjoint(names)  # by another name

    def _queue(self, value: Any) -> None:
        """Let the functions behind a value be visited."""
        for layer in layers_of(value):
            if isinstance(layer, types.FunctionType):
                self._pending.append(layer)
            elif id(layer) in _PAST_EVERY_MODE:
                self._asks_for_more = True

    def _reach(self, value: Any, names: set[str]) -> None:
        kind = type(value)
        if kind is types.ModuleType:
            if not value.__name__.startswith(("torch", "numpy")):
                for name in names & vars(value).keys():
                    self._queue(vars(value)[name])
        elif isinstance(value, (dict, list, tuple, types.SimpleNamespace)):
            for item in items_of(value):
                self._reach_one(item)
        else:
            self._reach_one(value)

    def _reach_one(self, value: Any) -> None:
        """Let a function be visited, and the methods of a class, or of that of an object, be reached."""
        kind = type(value)
        if isinstance(value, type):
            self._asks_for_more |= issubclass(value, any_dispatch_mode) and _is_own(value)
            if not self._is_installed_elsewhere(value):
                if issubclass(value, nn.Module):
                    self._add_static_methods(value)
                else:
                    self._add_methods(value)
        else:
            self._queue(value)
            if kind is not types.FunctionType and not self._is_installed_elsewhere(kind):
                self._add_methods(kind)

    def _is_installed_elsewhere(self, kind: type) -> bool:
        path = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
        return _SITE_PACKAGES in path and kind.__module__ not in self._homes

    def _add_static_methods(self, owner: type) -> None:
        """Let what needs no instance of a class of modules be reached by its name."""
        for name, value in vars(owner).items():
            if isinstance(value, (staticmethod, classmethod)):
                self._methods.setdefault(name, []).append(value)
                if name in self._names:
                    self._queue(value)

    def _add_methods(self, owner: type) -> None:
        """Let the methods of a class be reached by their names."""
        for kind in owner.__mro__:
            if kind in self._owners or not _is_own(kind):
                continue
            if kind is not owner and self._is_installed_elsewhere(kind):
                continue
            self._owners.add(kind)
            members = vars(kind)
            for name, value in members.items():
                self._methods.setdefault(name, []).append(value)
            if not issubclass(owner, nn.Module):
                for name in self._names & members.keys():
                    self._queue(members[name])


def _asks_a_base_of_tensors(names: set[str]) -> bool:
    """Return whether names lead past the methods of a tensor's own class: ``super(torch.Tensor, x).tolist()``."""
    if "TensorBase" in names:
        return True
    return "Tensor" in names and not (_BASES.isdisjoint(names) or _NAMES_PAST_MODES.isdisjoint(names))
