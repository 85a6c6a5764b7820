"""Inputs as people write them: ``"1x3x224x224"``, ``"1x128 int64"``, nested lists and tables of them.

A size may be several, ``1x{128,256,512} int64``, where the growth of a cost with its inputs is measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from math import prod
from typing import Any

from msgspec import Struct

from pytest_modelbudget.factories import is_name_of_object

_INTEGERS = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (64, 32, 16, 8)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
"""The smallest and the largest value of each integer dtype."""
FLOATS = ("float32", "float16", "bfloat16", "float64", "float8_e4m3fn", "float8_e5m2")
DTYPES = (*FLOATS, "complex64", "complex128", *_INTEGERS, "bool")
_ALIASES = {"float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32"}
_EXAMPLE = '"1x3x224x224" or "1x128 int64"'
_BEGINS_SPEC = re.compile(r" *([0-9{]|scalar\b)")
_SPEC = re.compile(r"(?P<sizes>\S+)(?: +(?P<dtype>[^\s=]+))?(?: *= *(?P<fill>\S+))?")
_SIZE = re.compile(r"[0-9]+|\{ *[0-9]+(?: *, *[0-9]+)* *\}")
_MOST_DIGITS = 12


class SpecError(ValueError):
    """A malformed input spec; the message shows one that works."""


class InputSpec(Struct, frozen=True):
    """An input: the sizes of its dimensions, and its dtype (``None``: that of the model's floating-point weights).

    A dimension has several sizes in a range. ``fill`` is the value of every element of an integer input.
    """

    sizes: tuple[tuple[int, ...], ...]
    dtype: str | None = None
    fill: int = 0

    @property
    def steps(self) -> int:
        """How many shapes the spec stands for."""
        return max((len(size) for size in self.sizes), default=1)

    def step(self, number: int) -> InputSpec:
        """Return the spec of one of its shapes."""
        return InputSpec(tuple((size[number if len(size) > 1 else 0],) for size in self.sizes), self.dtype, self.fill)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a spec without a range."""
        return tuple(size[0] for size in self.sizes)

    @property
    def numel(self) -> int:
        """The number of elements of a spec without a range."""
        return prod(self.shape)


class Inputs(Struct, frozen=True, omit_defaults=True):
    """The inputs of a call, by position or by keyword; their ranges go in step.

    An input is a spec, a list or dict that holds some, or a value that is passed as it is. ``function`` names what
    returns the inputs instead: ``module:function``.
    """

    positional: tuple[Any, ...] = ()
    keyword: Mapping[str, Any] = {}
    function: str = ""

    @property
    def specs(self) -> tuple[InputSpec, ...]:
        """Every spec, at any depth."""
        found: list[InputSpec] = []
        self.map_specs(found.append)
        return tuple(found)

    @property
    def steps(self) -> int:
        """How many calls the inputs stand for."""
        return max((spec.steps for spec in self.specs), default=1)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the first dimension that has a range, one for each call; empty where there is none."""
        ranges = (size for spec in self.specs for size in spec.sizes if len(size) > 1)
        return next(ranges, ())

    def each(self) -> Iterator[Inputs]:
        """Yield the inputs of each call."""
        for number in range(self.steps):
            positional, keyword = self.map_specs(lambda spec, number=number: spec.step(number))  # type: ignore[misc]
            yield Inputs(positional, keyword, self.function)

    def map_specs(self, function: Callable[[InputSpec], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the positional and the keyword inputs, with every spec replaced by what ``function`` returns."""

        def mapped(value: Any) -> Any:
            if isinstance(value, InputSpec):
                return function(value)
            if isinstance(value, dict):
                return {key: mapped(inner) for key, inner in value.items()}
            return [*map(mapped, value)] if isinstance(value, list) else value

        return tuple(map(mapped, self.positional)), {key: mapped(value) for key, value in self.keyword.items()}


def cache_sizes(value: object) -> tuple[int, ...]:
    """Return how many tokens are cached: 4096, or several, ``"{1024,2048,4096}"``. Raises SpecError."""
    spec = parse_spec(str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    if spec is None or spec.dtype is not None or len(spec.sizes) != 1 or 0 in spec.sizes[0]:
        raise SpecError('is how many tokens are cached, as in 4096 or "{1024,2048,4096}"')
    return spec.sizes[0]


def parse_spec(text: str) -> InputSpec:
    """Return what ``text`` says, as in ``"2x8x64 bfloat16"`` or ``"1x8 int64 = 63"``. Raises SpecError."""
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise _refusal(text, "sizes joined by x, then perhaps a dtype")
    dtype = match["dtype"]
    if dtype is not None and dtype not in DTYPES:
        meant = _ALIASES.get(dtype) or next(iter(get_close_matches(dtype, DTYPES, 1)), None)
        raise _refusal(
            text, f"no dtype is called {dtype}" + (f" (did you mean {meant}?)" if meant else f"; {_valid()}")
        )
    spec = InputSpec(_sizes(text, match["sizes"]), dtype, _fill(text, dtype, match["fill"]))
    if any(len(size) not in (1, spec.steps) for size in spec.sizes):
        raise _refusal(text, "its ranges have different lengths")
    if any(len({*size}) < len(size) for size in spec.sizes):
        raise _refusal(text, "a range has a size twice")
    return spec


def _sizes(text: str, sizes: str) -> tuple[tuple[int, ...], ...]:
    if sizes == "scalar":
        return ()
    found = []
    for part in sizes.split("x"):
        if not _SIZE.fullmatch(part) or len(part) > 1000 or any(len(n) > _MOST_DIGITS for n in _numbers(part)):
            raise _refusal(text, f"{part!r} is no size")
        found.append(tuple(map(int, _numbers(part))))
    return tuple(found)


def _fill(text: str, dtype: str | None, fill: str | None) -> int:
    if fill is None:
        return 0
    if dtype not in _INTEGERS:
        raise _refusal(text, 'only integers are filled with a value, as in "1x8 int64 = 63"')
    smallest, largest = _INTEGERS[dtype]
    if not re.fullmatch("-?[0-9]{1,20}", fill) or not smallest <= int(fill) <= largest:
        raise _refusal(text, f"{fill} is no value of {dtype}")
    return int(fill)


def parse_inputs(value: object) -> Inputs:
    """Return the inputs in a value of TOML: one input, a list of them, or a table of them by keyword.

    A string that begins with a digit, ``{`` or ``scalar`` is a spec, ``"None"`` is None, and any other string is passed
    as it is, as are numbers and booleans; lists and tables may be nested. At the top level ``"module:function"`` names
    what returns the inputs. Raises SpecError.
    """
    if is_name_of_object(value):
        return Inputs(function=str(value))
    if isinstance(value, Mapping) and value:
        inputs = Inputs((), {str(key): _input(inner) for key, inner in value.items()})
    elif isinstance(value, (list, tuple)) and value:
        if len(value) > 1 and all(type(inner) is int for inner in value):
            raise SpecError(f'{[*value]} are several numbers; a shape is written "{"x".join(map(str, value))}"')
        inputs = Inputs(tuple(map(_input, value)))
    elif isinstance(value, (str, int, float)):
        inputs = Inputs((_input(value),))
    else:
        raise SpecError(f"inputs are a spec such as {_EXAMPLE}, a list of inputs, or a table of inputs by keyword")
    return in_step(inputs)


def in_step(inputs: Inputs) -> Inputs:
    """Return ``inputs`` whose ranges have one length. Raises SpecError."""
    lengths = sorted({spec.steps for spec in inputs.specs} - {1})
    if len(lengths) > 1:
        raise SpecError(f"the ranges of several inputs go in step, and have different lengths: {lengths}")
    return inputs


def _input(value: object) -> Any:
    if isinstance(value, str):
        return parse_text(value)
    if isinstance(value, Mapping):
        return {str(key): _input(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [*map(_input, value)]
    if isinstance(value, (int, float)):
        return value
    raise SpecError(f"an input is a spec such as {_EXAMPLE}, a number, a boolean, a list or a table, not {value!r}")


def parse_text(text: str) -> InputSpec | str | None:
    """Return the input that a string stands for: a spec, None for ``"None"``, or the string. Raises SpecError."""
    if _BEGINS_SPEC.match(text):
        return parse_spec(text)
    return None if text == "None" else text


def _numbers(part: str) -> list[str]:
    return re.findall(r"[0-9]+", part)


def _valid() -> str:
    return f"valid are {', '.join(DTYPES)}"


def _refusal(text: str, what: str) -> SpecError:
    return SpecError(f"{text!r} is no input spec: {what}. This works: {_EXAMPLE}")
