"""The hooks that users of the plugin may implement, in a conftest or a plugin of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def pytest_modelbudget_formulas() -> Mapping[str, Callable[..., int]]:  # type: ignore[empty-body]
    """Return the MACs formulas of custom operators by their qualified names: ``{"my_ops::fused_linear": f}``.

    Each is called as ``f(*args, out_shape, **kwargs)`` with every tensor replaced by its shape, and returns MACs, as
    with ``@pytest_modelbudget.formula("my_ops::fused_linear")``. They are registered once, before the first
    measurement of the run.
    """
