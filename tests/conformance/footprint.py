"""Snapshot everything that measuring a model must not change, and say what has changed.

Knows torch and NumPy alone, so that the peers' benchmark can use it too.
"""

from __future__ import annotations

import hashlib
import random
import types
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

Snapshot = dict[str, Any]
PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size, torch.layout)
OPAQUE = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, nn.Module)
HOOKS = {name for name in vars(nn.Module()) if "hook" in name}


def snapshot(model: nn.Module, *inputs: Any) -> Snapshot:
    """Return the state of the model, of its inputs, of the random generators and of torch itself, path by path."""
    found: Snapshot = {}
    for name, module in model.named_modules():
        found.update(_of_module(f"model.{name}" if name else "model", module))
    for index, item in enumerate(inputs):
        found.update(_of_value(f"input {index}", item, depth=6))
    found.update(_of_process())
    return found


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the paths that differ, each with what happened to it."""
    lost = [f"{path}: lost" for path in before if path not in after]
    new = [f"{path}: new" for path in after if path not in before]
    changed = [path for path in before if path in after and before[path] != after[path]]
    return lost + new + [f"{path}: {before[path]} became {after[path]}" for path in changed]


def values(value: Any) -> list[Any]:
    """Return the values of an output of any nesting, without identities or gradients, to compare two runs."""
    found = [item for path, item in _of_value("", value, depth=6) if not path.endswith(".grad")]
    return [item[1] if isinstance(item, tuple) else item for item in found]


def _of_module(path: str, module: nn.Module) -> Iterator[tuple[str, Any]]:
    yield f"{path}: class", (id(module), type(module).__qualname__)
    for name, value in list(vars(module).items()):
        if name in HOOKS:
            yield (
                f"{path}.{name}",
                [(key, id(hook)) for key, hook in value.items()] if isinstance(value, dict) else value,
            )
        else:
            yield from _of_value(f"{path}.{name}", value, depth=4)
    for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        yield from _of_value(f"{path}.{name}", tensor, depth=1)  # scripted modules keep theirs in C++
    yield f"{path}.training", getattr(module, "training", None)


def _of_value(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, torch.Tensor):
        yield path, (id(value) if value.is_leaf else None, _of_tensor(value))
        grad = value.grad if value.is_leaf else None
        yield f"{path}.grad", None if grad is None else (id(grad), _of_tensor(grad))
    elif isinstance(value, PLAIN):
        yield path, (type(value).__name__, repr(value))
    elif depth and isinstance(value, dict):
        yield path, [str(key) for key in value]
        for key, item in list(value.items()):
            yield from _of_value(f"{path}[{key!r}]", item, depth - 1)
    elif depth and isinstance(value, list | tuple | set):
        yield path, len(value)
        for index, item in enumerate(value):
            yield from _of_value(f"{path}[{index}]", item, depth - 1)
    else:
        yield path, (id(value), type(value).__qualname__)
        if depth and not isinstance(value, OPAQUE) and hasattr(value, "__dict__"):
            yield from _of_value(f"{path}.__dict__", vars(value), depth - 1)


def _of_tensor(tensor: torch.Tensor) -> tuple[Any, ...]:
    kind = (type(tensor).__name__, str(tensor.layout), tensor.dtype, str(tensor.device), tensor.requires_grad)
    if nn.parameter.is_lazy(tensor):
        return (*kind, "uninitialised")
    with torch.no_grad():
        parts = _strided_parts(tensor.detach())
        return (*kind, *((tuple(part.shape), part.stride(), _digest(part)) for part in parts))


def _strided_parts(tensor: torch.Tensor) -> list[torch.Tensor]:
    if tensor.is_nested:
        return [*tensor.unbind()]
    if tensor.layout is torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout is not torch.strided:
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    return [tensor.int_repr() if tensor.is_quantized else tensor]


def _digest(tensor: torch.Tensor) -> str:
    if tensor.is_meta:
        return "meta"
    plain = tensor.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    return (
        hashlib.blake2b(plain.view(torch.uint8).numpy().tobytes(), digest_size=8).hexdigest() if plain.numel() else ""
    )


def _of_process() -> Iterator[tuple[str, Any]]:
    yield "torch RNG", _digest(torch.get_rng_state())
    yield "Python RNG", hash(random.getstate())
    yield "NumPy RNG", _numpy_state()
    yield "grad mode", (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
    yield "defaults", (torch.get_default_dtype(), str(torch.get_default_device()), torch.get_num_threads())
    yield "autocast", (torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled())
    yield "fast path", torch.backends.mha.get_fastpath_enabled()
    yield "attention kernels", [getattr(torch.backends.cuda, f"{name}_sdp_enabled")() for name in ("flash", "math")]
    yield "deterministic", torch.are_deterministic_algorithms_enabled()
    yield "oneDNN", torch.backends.mkldnn.enabled
    yield "dispatch modes", len(_get_current_dispatch_mode_stack())
    yield "function modes", torch._C._len_torch_function_stack()
    yield "global hooks", [len(hooks) for hooks in _global_hooks()]
    yield from _functions("torch", torch)
    yield from _functions("torch.nn.functional", nn.functional)
    yield from _functions("torch.nn.init", nn.init)
    yield from _functions("torch.Tensor", torch.Tensor)
    yield from _functions("torch.nn.Module", nn.Module)
    for name, item in vars(nn).items():
        if isinstance(item, type) and "forward" in vars(item):
            yield f"torch.nn.{name}.forward", id(vars(item)["forward"])


def _functions(path: str, owner: Any) -> Iterator[tuple[str, Any]]:
    found: dict[str, Any] = {}
    for place in reversed(owner.__mro__) if isinstance(owner, type) else [owner]:
        found.update(vars(place))
    for name, item in found.items():
        if callable(item) and not isinstance(item, type):
            yield f"{path}.{name}", id(item)


def _global_hooks() -> list[dict[int, Any]]:
    return [
        hooks
        for name, hooks in vars(nn.modules.module).items()
        if name.startswith("_global") and "hooks" in name and isinstance(hooks, dict)
    ]


def _numpy_state() -> int | None:
    try:
        import numpy
    except ImportError:
        return None
    state: Any = numpy.random.get_state()
    name, keys, *position = state
    return hash((name, keys.tobytes(), *position))
