"""What a module and an operator cost: plain, frozen values, and how people read their numbers.

Every number is an exact ``int``; rounding happens in :func:`human` and :func:`percent`, when a person reads it, and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unicodedata import category

from msgspec import Struct

from pytest_modelbudget.metrics import METRICS

WHAT_NAMES_ARE = "a name has no control characters and no lone surrogates, nothing invisible and no blanks at its ends"
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # categories of Unicode
_JOINERS = "\u200c\u200d"  # invisible, and within words and emoji meant


class Costs(Struct, frozen=True, gc=False):
    """The metrics of a model or of one of its modules.

    ``macs`` and ``flops`` are ``None`` where nothing was run, ``training_*`` where no backward was asked for.
    """

    params: int = 0
    trainable_params: int = 0
    macs: int | None = None
    flops: int | None = None
    training_macs: int | None = None
    training_flops: int | None = None
    weight_bytes: int = 0


class TensorSpec(Struct, frozen=True, gc=False):
    """Shape and dtype of one input; ``name`` is its place in the call, as in ``args[0]`` or ``kwargs['mask']``.

    A dimension whose size differs within a nested tensor is -1.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> str:
        """The shape as people write it: ``1x3x224x224``."""
        return "x".join(map(str, self.shape)) or "scalar"

    def __str__(self) -> str:
        return f"{self.name} {self.size} {self.dtype}"


class OperatorCost(Struct, frozen=True, gc=False):
    """What one operator costs inside one module.

    ``name`` is the operator's qualified name (``aten::convolution``), ``module`` the qualified name of the innermost
    running module (``""`` is the model itself), ``macs`` the MACs of its ``calls`` in the forward pass and
    ``training_macs`` those of forward and backward (``None`` where no backward was asked for).
    """

    name: str
    module: str
    calls: int
    macs: int
    training_macs: int | None = None


class CollectiveCost(Struct, frozen=True, gc=False):
    """What one rank and the others send each other in one module: the ``kind`` of collective, its calls and its bytes.

    The bytes of a call are the larger of what the rank gives and what it gets.
    """

    kind: str
    module: str
    calls: int
    nbytes: int


class Alive(Struct, frozen=True, gc=False):
    """Activations that are alive at the peak: their bytes, and the operator and module that made them."""

    nbytes: int
    operator: str
    module: str


class MemoryCost(Struct, frozen=True):
    """What a forward pass keeps in memory beside its weights.

    ``peak_bytes`` is the largest sum over all operators, reached during ``operator`` in ``module``, where ``alive`` is
    what is there, the largest first. ``live`` are the bytes during each operator, in order; where there are too many
    operators, the most during each ``stretch`` of so many, the last of which may be shorter.
    """

    peak_bytes: int
    operator: str
    module: str
    alive: tuple[Alive, ...]
    live: tuple[int, ...]
    stretch: int = 1


class ModuleCost(Struct, frozen=True, gc=False):
    """What one module costs: by itself (``own``) and with everything below it (``total``).

    ``name`` is the first qualified name under which the model holds the module, ``aliases`` are the others. A
    parameter shared by several modules belongs to the first of them. ``own`` over the whole tree sums exactly to the
    model's metrics. ``outputs`` are the shapes of the tensors that its first call returned.
    """

    name: str
    cls: str
    calls: int
    own: Costs
    total: Costs
    aliases: tuple[str, ...] = ()
    children: tuple[ModuleCost, ...] = ()
    outputs: tuple[tuple[int, ...], ...] = ()

    def walk(self) -> Iterator[ModuleCost]:
        """Yield this module and all below it, parents before children, in the order of definition."""
        yield self
        for child in self.children:
            yield from child.walk()


def is_printable(name: str) -> bool:
    """Return whether every report can show a name as it is, and a reader can tell it from others; ``""`` is."""
    if name != name.strip(_JOINERS).strip():
        return False
    return not any((category(letter) in _UNSEEN and letter not in _JOINERS) or _is_none(letter) for letter in name)


def _is_none(letter: str) -> bool:
    """Return whether a code point is reserved as no character; XML refuses U+FFFE and U+FFFF."""
    return ord(letter) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(letter) <= 0xFDEF


def human(value: int | None, metric: str = "") -> str:
    """Return ``value`` for people: four significant digits and a decimal SI prefix (``4.089 G``).

    ``weight_bytes`` carries its unit (``102.2 MB``); ``None`` is ``-``. Numbers below 10 000 are shown exactly.
    """
    if value is None:
        return "-"
    unit = METRICS[metric].unit if metric else ""
    sign, magnitude = ("-" if value < 0 else ""), abs(value)
    if magnitude < 10_000:
        return f"{sign}{magnitude} {unit}".rstrip()
    digits = len(str(magnitude))
    step = 10 ** (digits - 4)
    rounded = (magnitude + step // 2) // step  # 4 digits, or 10000 when the rounding carries
    digits = len(str(rounded)) + digits - 4
    prefix = (digits - 1) // 3
    if prefix > 5:
        return f"{sign}{magnitude:,} {unit}".rstrip()
    text = str(rounded)[:4]
    whole = digits - 3 * prefix
    return f"{sign}{text[:whole]}.{text[whole:]} {' KMGTP'[prefix]}{unit}".replace(". ", " ")


def in_one_unit(values: Sequence[int], metric: str = "") -> list[str]:
    """Return values for people in the unit of the largest (``1.200 G``, ``0.940 G``), but for those it makes a zero."""
    number, _, unit = human(max(values, default=0), metric).partition(" ")
    decimals, prefix = len(number.partition(".")[2]), " KMGTP".find(unit[:1])
    if not decimals:
        return [human(value, metric) for value in values]
    step = 1000**prefix // 10**decimals
    rounded = [(value + step // 2) // step for value in values]
    return [
        f"{digits // 10**decimals}.{digits % 10**decimals:0{decimals}} {unit}" if digits else human(value, metric)
        for value, digits in zip(values, rounded, strict=True)
    ]


def exactly(value: int | None, metric: str = "") -> str:
    """Return every digit, with separators: ``4,089,184,256``; ``None`` is ``-``."""
    if value is None:
        return "-"
    return f"{value:,} {METRICS[metric].unit if metric else ''}".rstrip()


def rounded_up(value: int, metric: str, digits: int = 3) -> str:
    """Return the least limit of ``digits`` digits that ``value`` keeps, as a table has it: ``4.09G``, ``25.6M``."""
    if value < max(1000, 10**digits):
        return str(value)
    step: int = 10 ** (len(str(value)) - digits)
    limit = -(-value // step) * step
    prefix = (len(str(limit)) - 1) // 3
    if prefix > 5:
        return str(limit)
    number = f"{limit / 1000**prefix:.{digits}f}".rstrip("0").rstrip(".")
    return f"{number}{' ' * bool(METRICS[metric].unit)}{' KMGTP'[prefix]}{METRICS[metric].unit}"


def percent(part: int, whole: int) -> str:
    """Return ``part`` of ``whole`` as a percentage, and never as a 0% or 100% that is none.

    It has one decimal from 1% on, two below, and below 0.01% as many as show a digit.
    """
    if whole == 0:
        return ""
    if abs(part) in (0, whole):
        return "0%" if not part else "100%" if part > 0 else "-100%"
    decimals = 1 if abs(part) * 100 >= whole else 2
    while True:
        scale: int = 10**decimals
        rounded = (200 * scale * abs(part) + whole) // (2 * whole)
        if rounded not in (0, 100 * scale):
            number = f"{rounded // scale:,}.{rounded % scale:0{decimals}}"
            return f"{'-' if part < 0 else ''}{number}%"
        decimals += 1


def signed_percent(before: int, after: int) -> str:
    """Return how far a value has moved: ``+1.2%``, ``-0.04%``; from zero, which has no percentages, its amount."""
    if before == 0:
        return f"+{human(after)}"
    text = percent(after - before, before)
    return text if after < before else f"+{text}"
