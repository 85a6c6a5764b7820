"""How a shape run ends where it cannot go on."""

from __future__ import annotations


class ShapeRunStop(BaseException):
    """Leave the shape run: it met something that only a real run can answer.

    Derives from :class:`BaseException` because models catch ``Exception``; the run that raised it remembers it, so a
    measurement in which the model catches even this one is void.
    """


class AutogradNeeded(ShapeRunStop):
    """Leave a shape run without autograd: the forward has to be run with it."""


def is_interrupt(error: BaseException) -> bool:
    """Return whether an exception is neither the model's own nor the end of a shape run: whatever it means, it passes.

    Time limits, interrupts and the end of the program derive from ``BaseException`` alone; that of ``pytest.exit`` is
    the exception.
    """
    if not isinstance(error, (Exception, ShapeRunStop)):
        return True
    return type(error).__module__.partition(".")[0] == "_pytest"
