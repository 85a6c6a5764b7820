"""Higher-order operators: operators that take functions. What they run is counted, not they themselves."""

from __future__ import annotations

from math import prod
from typing import Any


def run(mode: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a higher-order operator in a real run so that its products are counted once."""
    name = func.name()
    if name == "cond":
        predicate, true_branch, false_branch, operands = args
        if mode.ledger is not None and mode.ledger.training_is_on:
            mode.ledger.charge("higher_order::cond", None)  # its backward is compiled, out of sight
        with mode:
            return (true_branch if bool(predicate) else false_branch)(*operands)
    if name in ("flex_attention", "flex_attention_backward"):
        out = func(*args, **kwargs)
        query, key, value = (tuple(tensor.shape) for tensor in args[:3])
        once = prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
        if mode.ledger is not None:
            mode.ledger.charge(name, once if name == "flex_attention" else 2 * once)
        return out
    if name in _WRAPPERS:
        with mode:
            return args[0](*args[1:], **kwargs)
    out = func(*args, **kwargs)
    if mode.ledger is not None and name not in _HARMLESS:
        mode.ledger.charge(f"higher_order::{name}", None)
    return out


_WRAPPERS = frozenset(("wrap", "wrap_activation_checkpoint", "tag_activation_checkpoint", "wrap_with_set_grad_enabled"))
_HARMLESS = frozenset(("print", "with_effects"))
