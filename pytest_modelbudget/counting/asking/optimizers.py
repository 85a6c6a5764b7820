"""What an optimizer keeps for the weights that it trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from pytest_modelbudget.counting.asking.input_tensors import tensors_of
from pytest_modelbudget.measurement import MeasurementError

Weights = Sequence[tuple[torch.Size, torch.dtype]]


def optimizer_bytes(optimizer: Callable[[list[nn.Parameter]], Any], weights: Weights) -> int:
    """Return the bytes of the tensors that an optimizer's state holds after one step on ``weights`` with gradients.

    AdamW keeps two moments as large as each weight, and a float32 step for each: 2 x 420 x 4 + 4 x 4 bytes for 420
    params in four tensors. The step is made on tensors of those shapes, and touches no model. Raises
    :class:`MeasurementError` for what the optimizer raises.
    """
    try:
        with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
            try:
                return _after_a_step(optimizer, weights, "meta")
            except (RuntimeError, TypeError):  # some, as Adafactor, ask a weight for its values
                return _after_a_step(optimizer, weights, "cpu")
    except Exception as error:
        raise MeasurementError(f"the optimizer failed: {type(error).__name__}: {error}") from error


def _after_a_step(optimizer: Callable[[list[nn.Parameter]], Any], weights: Weights, device: str) -> int:
    parameters = [nn.Parameter(torch.zeros(size, dtype=dtype, device=device)) for size, dtype in weights]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    made = optimizer(parameters)
    given = {*map(id, parameters)}
    if any(id(one) not in given for group in getattr(made, "param_groups", ()) for one in group["params"]):
        raise ValueError("it holds other parameters than those that it was called with")
    made.step()
    kept = {id(tensor): tensor for state in made.state.values() for tensor in tensors_of(state)}
    return sum(tensor.nbytes for tensor in kept.values())
