"""Input specs: the shape and dtype of an input, as reports print them: ``1x3x224x224``, ``1x128 int64``.

A size may be several, ``1x{128,256,512} int64``, where the growth of a cost with its inputs is measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from math import prod

from msgspec import Struct

DTYPES = (
    *("float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2", "complex64", "complex128"),
    *("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool"),
)
_ALIASES = {"float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32"}
_EXAMPLE = '"1x3x224x224" or "1x128 int64"'
_SPEC = re.compile(r"(?P<sizes>\S+)(?: +(?P<dtype>\S+))?")
_SIZE = re.compile(r"[0-9]+|\{ *[0-9]+(?: *, *[0-9]+)* *\}")
_MOST_DIGITS = 12


class SpecError(ValueError):
    """A malformed input spec; the message shows one that works."""


class InputSpec(Struct, frozen=True):
    """An input: the sizes of its dimensions, and its dtype (``None``: that of the model's floating-point weights).

    A dimension has several sizes in a range.
    """

    sizes: tuple[tuple[int, ...], ...]
    dtype: str | None = None

    @property
    def steps(self) -> int:
        """How many shapes the spec stands for."""
        return max((len(size) for size in self.sizes), default=1)

    def step(self, number: int) -> InputSpec:
        """Return the spec of one of its shapes."""
        return InputSpec(tuple((size[number if len(size) > 1 else 0],) for size in self.sizes), self.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a spec without a range."""
        return tuple(size[0] for size in self.sizes)

    @property
    def numel(self) -> int:
        """The number of elements of a spec without a range."""
        return prod(self.shape)


class Inputs(Struct, frozen=True, omit_defaults=True):
    """The inputs of a call, by position or by keyword; their ranges go in step."""

    positional: tuple[InputSpec, ...] = ()
    keyword: Mapping[str, InputSpec] = {}

    @property
    def all(self) -> tuple[InputSpec, ...]:
        """Every input."""
        return (*self.positional, *self.keyword.values())

    @property
    def steps(self) -> int:
        """How many calls the inputs stand for."""
        return max((one.steps for one in self.all), default=1)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the first dimension that has a range, one for each call; empty where there is none."""
        ranges = (size for one in self.all for size in one.sizes if len(size) > 1)
        return next(ranges, ())

    def each(self) -> Iterator[Inputs]:
        """Yield the inputs of each call."""
        for number in range(self.steps):
            keyword = {key: one.step(number) for key, one in self.keyword.items()}
            yield Inputs(tuple(one.step(number) for one in self.positional), keyword)

    def as_input_size(self) -> list[InputSpec] | dict[str, InputSpec]:
        """Return what ``measure(input_size=...)`` takes."""
        return dict(self.keyword) or list(self.positional)


def parse_spec(text: str) -> InputSpec:
    """Return what ``text`` says, as in ``"2x8x64 bfloat16"``. Raises SpecError."""
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise _refusal(text, "sizes joined by x, then perhaps a dtype")
    dtype = match["dtype"]
    if dtype is not None and dtype not in DTYPES:
        meant = _ALIASES.get(dtype) or next(iter(get_close_matches(dtype, DTYPES, 1)), None)
        raise _refusal(text, f"no dtype is called {dtype}; " + (f"did you mean {meant}?" if meant else _valid()))
    if match["sizes"] == "scalar":
        return InputSpec((), dtype)
    sizes = []
    for part in match["sizes"].split("x"):
        if not _SIZE.fullmatch(part) or len(part) > 1000 or any(len(n) > _MOST_DIGITS for n in _numbers(part)):
            raise _refusal(text, f"{part!r} is no size")
        sizes.append(tuple(map(int, _numbers(part))))
    spec = InputSpec(tuple(sizes), dtype)
    if any(len(size) not in (1, spec.steps) for size in sizes):
        raise _refusal(text, "its ranges have different lengths")
    if any(len({*size}) < len(size) for size in sizes):
        raise _refusal(text, "a range has a size twice")
    return spec


def parse_inputs(value: object) -> Inputs:
    """Return the inputs in a value of TOML: a spec, a list of specs, or a table of them by keyword.

    Raises SpecError.
    """
    if isinstance(value, str):
        return Inputs((parse_spec(value),))
    if isinstance(value, Mapping) and value and all(isinstance(one, str) for one in value.values()):
        inputs = Inputs((), {str(key): parse_spec(one) for key, one in value.items()})
    elif isinstance(value, (list, tuple)) and value and all(isinstance(one, str) for one in value):
        inputs = Inputs(tuple(map(parse_spec, value)))
    else:
        raise SpecError(f"inputs are a spec such as {_EXAMPLE}, a list of specs, or a table of specs by keyword")
    lengths = sorted({one.steps for one in inputs.all} - {1})
    if len(lengths) > 1:
        raise SpecError(f"the ranges of several inputs go in step, and have different lengths: {lengths}")
    return inputs


def _numbers(part: str) -> list[str]:
    return re.findall(r"[0-9]+", part)


def _valid() -> str:
    return f"valid are {', '.join(DTYPES)}"


def _refusal(text: str, what: str) -> SpecError:
    return SpecError(f"{text!r} is no input spec: {what}. This works: {_EXAMPLE}")
