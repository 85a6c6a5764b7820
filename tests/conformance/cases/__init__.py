"""Every conformance case, family by family."""

from __future__ import annotations

from ..case import Case, Family
from . import (
    attention,
    autograd,
    containers,
    control,
    conv,
    conv_more,
    einsum,
    graph,
    linear,
    matmul,
    multihead,
    nested,
    pairwise,
    precision,
    recurrent,
    structure,
    transformer,
    weights,
    zero,
)

FAMILIES: tuple[Family, ...] = (
    linear.cases,
    matmul.cases,
    einsum.cases,
    pairwise.cases,
    conv.cases,
    conv_more.cases,
    conv_more.others,
    attention.cases,
    attention.flex,
    multihead.cases,
    transformer.cases,
    nested.cases,
    recurrent.cases,
    zero.cases,
    precision.cases,
    precision.quantised,
    precision.sparse,
    weights.cases,
    structure.cases,
    autograd.cases,
    autograd.transforms,
    graph.cases,
    control.cases,
    containers.cases,
)
CASES: tuple[Case, ...] = tuple(case for family in FAMILIES for case in family)
