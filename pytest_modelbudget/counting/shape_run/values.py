"""Operators on shape tensors whose result follows from the values of a real one beside them.

A handler takes the call's arguments and a function that says whether a tensor's values are known. It returns a function
that answers the call, or None where the values that it needs are not known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

IsKnown = Callable[[torch.Tensor], bool]
Answer = Callable[[Any], Any]
_MASKS = (torch.bool, torch.uint8)


def index(args: Any, kwargs: Any, is_known: IsKnown) -> Answer | None:
    """Answer ``x[mask]``: a known boolean mask is the positions that it selects."""
    x, indices = args[0], args[1]
    masks = [item for item in indices if item is not None and item.dtype in _MASKS]
    if not masks or not all(is_known(mask) for mask in masks):
        return None
    positions: list[Any] = []
    for item in indices:
        if item is not None and item.dtype in _MASKS:
            positions.extend(item.nonzero(as_tuple=True))
        else:
            positions.append(item)
    return lambda func: func(x, positions, *args[2:], **kwargs)


def shapes_suffice(name: str, args: Any) -> bool:
    """Return whether a call of an operator that may depend on values does not: ``x[i]`` with integer positions."""
    return name == "aten::index" and not any(item is not None and item.dtype in _MASKS for item in args[1])


def masked_select(args: Any, kwargs: Any, is_known: IsKnown) -> Answer | None:
    """Answer ``masked_select(x, mask)`` for a known mask: as many elements as it selects, after broadcasting."""
    x, mask = args
    if not is_known(mask):
        return None
    shape = torch.broadcast_shapes(x.shape, mask.shape)
    count = int(mask.expand(shape).sum())
    return lambda func: x.new_empty((count,))


def pack_padded_sequence(args: Any, kwargs: Any, is_known: IsKnown) -> Answer | None:
    """Answer ``pack_padded_sequence(x, lengths)``: sum(lengths) rows, and batch sizes that follow from the lengths."""
    x, lengths, batch_first = args
    if not is_known(lengths):
        return None
    batch, steps, *rest = x.shape if batch_first else (x.shape[1], x.shape[0], *x.shape[2:])
    if len(lengths) != batch or int(lengths.max()) > steps or int(lengths.min()) < 1:
        return None
    sizes = (lengths[None, :] > torch.arange(int(lengths.max()))[:, None]).sum(dim=1)
    return lambda func: (x.new_empty((int(lengths.sum()), *rest)), sizes)


def one_hot(args: Any, kwargs: Any, is_known: IsKnown) -> Answer | None:
    """Answer ``one_hot(x, classes)``: torch's own reads the values, to check them."""
    x, classes = args[0], args[1] if len(args) > 1 else -1
    if classes < 0 or is_known(x):
        return None
    return lambda func: torch.eq(x.unsqueeze(-1), torch.arange(classes)).long()


def varlen_attention(args: Any, kwargs: Any, is_known: IsKnown) -> Answer | None:
    """Answer ``varlen_attn(q, k, v, starts of q, starts of k)``: attention of one sequence after the other."""
    query, key, value, *starts = args[:5]
    if not all(start is not None and is_known(start) for start in starts):
        return None
    lengths = [start.diff().tolist() for start in starts]

    def answer(_: Any) -> Any:
        parts = zip(query.split(lengths[0]), key.split(lengths[1]), value.split(lengths[1]), strict=True)
        grouped = [[part.transpose(0, 1) for part in one] for one in parts]
        found = [torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True) for q, k, v in grouped]
        log_sum = query.new_empty((query.shape[1], query.shape[0]), dtype=torch.float)
        return torch.cat(found, 1).transpose(0, 1), log_sum, torch.zeros(2, dtype=torch.uint64)

    return answer


def leave_to_the_run(args: Any, kwargs: Any, is_known: IsKnown) -> Answer | None:
    """Leave a write to the run itself: it may make a tensor known again, and needs no handler otherwise."""
    return None


VALUE_HANDLERS: dict[str, Callable[[Any, Any, IsKnown], Answer | None]] = {
    "aten::index": index,
    "aten::masked_select": masked_select,
    "aten::_pack_padded_sequence": pack_padded_sequence,
    "torch_attn::_varlen_attn": varlen_attention,
    "aten::fill_": leave_to_the_run,
    "aten::zero_": leave_to_the_run,
    "aten::copy_": leave_to_the_run,
}

COMPOSITE_HANDLERS = {"aten::one_hot": one_hot}
"""As above, for composite operators that would read values."""
