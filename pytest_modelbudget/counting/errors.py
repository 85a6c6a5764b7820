"""How a run ends where it cannot go on, or cannot put back what it changed."""

from __future__ import annotations

from pytest_modelbudget.counting.signals import raised_by_a_handler
from pytest_modelbudget.measurement import MeasurementError


class ShapeRunStop(BaseException):
    """Leave the shape run: it met something that only a real run can answer.

    Derives from :class:`BaseException` because models catch ``Exception``; the run that raised it remembers it, so a
    measurement in which the model catches even this one is void.
    """


class AutogradNeeded(ShapeRunStop):
    """Leave a shape run without autograd: the forward has to be run with it."""


class NotRestoredError(MeasurementError):
    """Something that a run changed cannot be put back; no other run may hide that."""


def is_interrupt(error: BaseException) -> bool:
    """Return whether an exception is neither the model's own nor the end of a shape run: whatever it means, it passes.

    Time limits, interrupts and the end of the program derive from ``BaseException`` alone; that of ``pytest.exit`` is
    the exception, and so is whatever the handler of a signal raises, and what says that a run left changes behind. A
    group is one if any of its parts is.
    """
    parts = parts_of(error)
    if parts:
        return any(map(is_interrupt, parts))
    if isinstance(error, NotRestoredError) or not isinstance(error, (Exception, ShapeRunStop)):
        return True
    return type(error).__module__.partition(".")[0] == "_pytest" or raised_by_a_handler(error)


def parts_of(error: BaseException) -> list[BaseException]:
    """Return the exceptions in an exception group; none for any other exception, whatever its attributes are."""
    try:
        parts = error.exceptions  # type: ignore[attr-defined]  # not only of the class that Python 3.11 brought
    except Exception:
        return []
    return [part for part in parts if isinstance(part, BaseException)] if isinstance(parts, (list, tuple)) else []
