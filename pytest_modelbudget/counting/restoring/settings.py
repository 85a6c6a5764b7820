"""What torch is set to for the whole process: read before a run, and put back after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch

Setting = tuple[Callable[[], Any], Callable[[Any], Any]]

_invariants = torch.sparse.check_sparse_tensor_invariants


def _attribute(backend: Any, name: str) -> Setting:
    """Return what reads and what sets an attribute of a backend; the function behind it is quicker to read."""
    kind = type(backend)
    read = getattr(vars(kind).get(name), "getter", None)
    if read is None and not hasattr(kind, name) and name not in vars(backend) and hasattr(kind, "__getattr__"):
        read = partial(kind.__getattr__, backend, name)
    return read or partial(getattr, backend, name), partial(setattr, backend, name)


def _precision() -> str | None:
    """Return the precision of products, or None where it was set backend by backend: torch refuses to say then."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _set_precision(precision: str | None) -> None:
    if precision is not None:
        torch.set_float32_matmul_precision(precision)


def _check_invariants(checks: bool) -> None:
    (_invariants.enable if checks else _invariants.disable)()  # type: ignore[no-untyped-call]  # torch has not typed them


def _precisions() -> Iterable[Setting]:
    """Yield the precisions by backend, which torch 2.9 brought; those above others first, for they set these too."""
    backends = torch.backends
    places = [backends, backends.cuda.matmul]
    for backend in (backends.cudnn, backends.mkldnn):
        places += [backend, *(getattr(backend, name, None) for name in ("matmul", "conv", "rnn"))]
    for place in places:
        if hasattr(place, "fp32_precision"):
            yield _attribute(place, "fp32_precision")


_SETTINGS: list[Setting] = [
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (_attribute(torch.backends.mkldnn, "enabled")[0], torch.backends.mkldnn.set_flags),
    *(_attribute(torch.backends.cudnn, name) for name in ("enabled", "benchmark", "deterministic")),
    *(
        (getattr(torch.backends.cuda, f"{name}_enabled"), getattr(torch.backends.cuda, f"enable_{name}"))
        for name in ("flash_sdp", "mem_efficient_sdp", "math_sdp", "cudnn_sdp")
        if hasattr(torch.backends.cuda, f"enable_{name}")
    ),
    (torch.is_warn_always_enabled, torch.set_warn_always),
    (_invariants.is_enabled, _check_invariants),
    *(
        (getattr(torch.__future__, f"get_{name}"), getattr(torch.__future__, f"set_{name}"))
        for name in ("overwrite_module_params_on_conversion", "swap_module_params_on_conversion")
    ),
    (_precision, _set_precision),
    *_precisions(),  # after the one of all backends, which sets some of them
]


def read_settings() -> list[Any]:
    """Return what torch is set to."""
    return [read() for read, _ in _SETTINGS]


def put_settings_back(before: list[Any]) -> None:
    """Set what differs from ``before``."""
    for (read, put), value in zip(_SETTINGS, before, strict=True):
        if read() != value:
            put(value)
