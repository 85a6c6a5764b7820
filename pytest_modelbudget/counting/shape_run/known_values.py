"""What a shape run knows of tensors: which have values, which only shapes, and what a call on them depends on."""

from __future__ import annotations

from typing import Any

import torch

from pytest_modelbudget.counting.errors import ShapeRunStop
from pytest_modelbudget.counting.plain_tensors import PLAIN
from pytest_modelbudget.counting.shape_run.tensors import ShapeTensor, Spec, spec_of


class Knowledge:
    """``weights`` are real tensors taken for shape tensors, by identity; ``unknown`` the storages of real tensors that
    were written into with unknown values, so that every view of them is unknown too.
    """

    def __init__(self) -> None:
        self.weights: dict[int, Spec] = {}
        self.unknown: dict[int, torch.UntypedStorage] = {}
        self._held: list[torch.Tensor] = []

    def take_for_shapes(self, weights: list[torch.Tensor]) -> None:
        """Ignore the values of real tensors from here on."""
        self._held = weights
        self.weights = {id(weight): spec_of(weight) for weight in weights}

    def write_unknown(self, tensor: torch.Tensor) -> None:
        """Take the values of a real tensor, its base and all its views for unknown."""
        storage = tensor.untyped_storage()
        self.unknown[storage._cdata] = storage

    def overwrite_known(self, args: Any) -> bool:
        """Return whether a fill or copy from known values makes all of a real tensor's storage known again."""
        target, source = args[0], args[1:]
        if type(target) is ShapeTensor or id(target) in self.weights or target.is_meta:
            return False
        storage = target.untyped_storage()
        whole = target.numel() * target.element_size() == storage.nbytes()
        if not whole or any(isinstance(arg, torch.Tensor) and not self.is_known(arg) for arg in source):
            return False
        del self.unknown[storage._cdata]
        return True

    def forget(self) -> None:
        """Let go of every tensor."""
        self.weights.clear()
        self.unknown.clear()
        self._held.clear()

    def key(self, args: Any, kwargs: dict[str, Any] | None) -> tuple[bool, Any]:
        """Return whether any tensor has unknown values, and what the call's result depends on.

        Equal numbers of different types must differ: ``x + 1`` and ``x + 1.0`` give different dtypes.
        """
        unknown = False
        weights = self.weights
        parts: list[Any] = [torch.get_default_dtype()]
        for arg in args:
            kind = type(arg)
            if kind is ShapeTensor:
                unknown = True
                parts.append(arg._spec)
            elif kind is int or arg is None:
                parts.append(arg)
            elif kind is float or kind is bool:
                parts.append(kind)
                parts.append(arg)
            elif kind is list and arg and type(arg[0]) is int:
                parts.append(tuple(arg))
            else:
                weight = weights.get(id(arg))
                if weight is not None:
                    unknown = True
                    parts.append(weight)
                else:
                    hidden, part = self._part(arg)
                    unknown = unknown or hidden
                    parts.append(part)
        if kwargs:
            for name, arg in kwargs.items():
                hidden, part = (False, None) if arg is None else self._part(arg)
                unknown = unknown or hidden
                parts.append(name)
                parts.append(part)
        return unknown, tuple(parts)

    def _part(self, arg: Any) -> tuple[bool, Any]:
        kind = type(arg)
        if kind is ShapeTensor:
            return True, arg._spec
        if kind is list or kind is tuple:
            if arg and type(arg[0]) is int:
                return False, tuple(arg)
            pairs = [self._part(item) for item in arg]
            return any(hidden for hidden, _ in pairs), tuple([part for _, part in pairs])
        if isinstance(arg, torch.Tensor):
            if kind not in PLAIN:
                raise ShapeRunStop(f"tensors of type {kind.__name__} have operators of their own")
            weight = self.weights.get(id(arg))
            return (True, weight) if weight is not None else (self.is_unknown(arg), spec_of(arg))
        if isinstance(arg, torch.ScriptObject):
            raise ShapeRunStop("packed weights have shapes of their own")
        return False, arg if kind is int else (kind, arg)

    def is_unknown(self, tensor: torch.Tensor) -> bool:
        """Return whether a real tensor that is no weight has no data, or was written into with unknown values."""
        return tensor.is_meta or (bool(self.unknown) and tensor.untyped_storage()._cdata in self.unknown)

    def is_known(self, tensor: torch.Tensor) -> bool:
        """Return whether the values of a tensor are determined."""
        return type(tensor) is not ShapeTensor and id(tensor) not in self.weights and not self.is_unknown(tensor)

    def spec(self, tensor: torch.Tensor) -> Spec:
        """Return the spec of a real tensor or a shape tensor."""
        if type(tensor) is ShapeTensor:
            return tensor._spec
        return self.weights.get(id(tensor)) or spec_of(tensor)
