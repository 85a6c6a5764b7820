"""Higher-order operators: operators that take functions. What those run is counted, and not the operator itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from math import prod
from typing import Any

_WRAPPERS = frozenset(("wrap", "wrap_activation_checkpoint", "tag_activation_checkpoint", "wrap_with_set_grad_enabled"))
_CONTROL_FLOW = frozenset(("associative_scan", "cond", "map_impl", "scan", "while_loop"))
_WITHOUT_MACS = frozenset(("print", "with_effects"))


def run(
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    counting: AbstractContextManager[Any],
    charge: Callable[[str, int | None], None],
    backward_follows: bool,
) -> Any:
    """Run a higher-order operator so that its products are counted once.

    Inside ``counting``, operators are counted by themselves. ``charge`` takes what they cannot count: an operator and
    its MACs, or None where those are unknown.
    """
    name = func.name()
    if name in _CONTROL_FLOW:
        if backward_follows:
            charge(f"higher_order::{name}", None)  # its backward is compiled, and no mode sees that
        return func(*[_counted(arg, counting) if callable(arg) else arg for arg in args], **kwargs)
    if name in ("flex_attention", "flex_attention_backward"):
        out = func(*args, **kwargs)
        query, key, value = (tuple(tensor.shape) for tensor in args[:3])
        once = prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
        charge(name, once if name == "flex_attention" else 2 * once)
        return out
    if name in _WRAPPERS:
        with counting:
            return args[0](*args[1:], **kwargs)
    out = func(*args, **kwargs)
    if name not in _WITHOUT_MACS:
        charge(f"higher_order::{name}", None)
    return out


def _counted(function: Callable[..., Any], counting: AbstractContextManager[Any]) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        with counting:
            return function(*args)

    return run
