"""The hooks that users of the plugin may implement, in a conftest or a plugin of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_modelbudget.results import Run


def pytest_modelbudget_formulas() -> Mapping[str, Callable[..., int]]:  # type: ignore[empty-body]
    """Return the MACs formulas of custom operators by their qualified names: ``{"my_ops::fused_linear": f}``.

    Each is called as ``f(*args, out_shape, **kwargs)`` with every tensor replaced by its shape, and returns MACs, as
    with ``@pytest_modelbudget.formula("my_ops::fused_linear")``. They are registered once, before the first
    measurement of the run.
    """


def pytest_modelbudget_caches() -> Iterable[str]:  # type: ignore[empty-body]
    """Return further names of outputs and arguments that hold a model's cache: ``["state"]``.

    ``past_key_values`` and ``cache`` are known. A cache that the first call of a decode step has filled is passed to
    the next one under its name.
    """


def pytest_modelbudget_report_formats() -> Mapping[str, tuple[str, Callable[[Run], str]]]:  # type: ignore[empty-body]
    """Return further types of reports for ``--modelbudget-report`` by their names.

    Each is its default file and a function from the run to the text that is written, by the process that reports::

        def pytest_modelbudget_report_formats():
            return {"names": ("names.txt", lambda run: "".join(f"{model.name}\\n" for model in run.models))}

    ``run.models`` has the models in the order of their names, each with ``name``, ``inputs``, ``verdict`` (``checks``
    and ``problems``), ``tests`` and ``measurement``.
    """
