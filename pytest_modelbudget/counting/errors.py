"""What can go wrong while measuring, apart from the model's own exceptions."""

from __future__ import annotations


class MeasurementError(RuntimeError):
    """The model could not be measured, and why; the message names the remedy."""

    __module__ = "builtins"  # so that the short test summary has room for the message


class ShapeRunStop(BaseException):
    """Leave the shape run: it met something that only a real run can answer.

    Derives from :class:`BaseException` because models catch ``Exception``; the run that raised it remembers it, so a
    measurement in which the model catches even this one is void.
    """


class AutogradNeeded(ShapeRunStop):
    """Leave a shape run without autograd: the forward has to be run with it."""
