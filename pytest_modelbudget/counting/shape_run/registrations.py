"""What a factory registers in modules that existed before, to be taken back where it has no data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import ref

from torch import nn
from torch.nn.modules import module as hooks

from pytest_modelbudget.counting.torch_private import own_buffers, own_parameters, submodules

_ABSENT = object()


class Registrations:
    """The modules, parameters and buffers that are registered in modules which held some when the build began.

    A module that a factory makes is empty when something is first registered in it, and is not followed.
    """

    def __init__(self) -> None:
        self._made_here: set[int] = set()
        self._noted: list[tuple[ref[nn.Module], Callable[[nn.Module], dict[str, Any]], str, Any]] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note what is registered inside."""
        handles = [
            hooks.register_module_module_registration_hook(partial(self._note, submodules)),
            hooks.register_module_parameter_registration_hook(partial(self._note, own_parameters)),
            hooks.register_module_buffer_registration_hook(partial(self._note, own_buffers)),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def take_back(self) -> None:
        """Put back what modules held before, the last first."""
        while self._noted:
            reference, held_by, name, before = self._noted.pop()
            module = reference()
            if module is not None and before is _ABSENT:
                held_by(module).pop(name, None)
            elif module is not None:
                held_by(module)[name] = before

    def _note(self, held_by: Callable[[nn.Module], dict[str, Any]], module: nn.Module, name: str, _: Any) -> None:
        if id(module) in self._made_here:
            return
        if submodules(module) or own_parameters(module) or own_buffers(module):
            self._noted.append((ref(module), held_by, name, held_by(module).get(name, _ABSENT)))
        else:
            self._made_here.add(id(module))
