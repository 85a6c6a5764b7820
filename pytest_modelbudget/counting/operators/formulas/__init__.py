"""One module per operator family: small pure functions on shapes. Importing this package registers them all."""

from __future__ import annotations

from pytest_modelbudget.counting.operators.formulas import (
    attention,
    convolution,
    matmul,
    quantized,
    recurrent,
    sparse,
)
from pytest_modelbudget.counting.operators.registry import find_formula

__all__ = ["attention", "convolution", "find_formula", "matmul", "quantized", "recurrent", "sparse"]
