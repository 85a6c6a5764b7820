"""A folded module tree as lines, one for each module, as the lock file holds it.

A line names its modules by their path. Siblings that are equal but for their keys stand in braces, as in
``layers.{0-79}.up``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final
from urllib.parse import unquote

from msgspec import Meta, Struct

from pytest_modelbudget.folding import FoldedModule, Operator, OwnCosts

MOST_MODULES: Final = 1_000_000
"""More modules than any model has, and few enough to be held in memory."""

Count = Annotated[int, Meta(ge=0)]

_SPECIAL = re.compile(r"[%.,{}]")


class ModuleLine(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """What each of some equal modules costs by itself.

    ``trainable_params`` is left out where it equals ``params``. FLOPs follow from MACs and the convention of the file.
    Operators are not kept, for which of them run is a matter of the machine (its attention and recurrent kernels); what
    they cost is not; ``operators`` of the first lock files are passed over. ``unknown`` are those without a formula:
    their calls and MACs.
    """

    name: str
    cls: str
    calls: Count = 1
    params: Count = 0
    trainable_params: Count | None = None
    weight_bytes: Count = 0
    macs: Count = 0
    training_macs: Count = 0
    unknown: Mapping[str, tuple[Count, ...]] = {}
    aliases: tuple[str, ...] = ()
    at: tuple[Count, ...] = ()
    operators: object = None


def to_lines(module: FoldedModule, path: str = "") -> Iterator[ModuleLine]:
    """Yield a line for a folded module and for each below it, parents first."""
    own = module.own
    yield ModuleLine(
        name=path,
        cls=module.cls,
        calls=module.calls,
        params=own.params,
        trainable_params=None if own.trainable_params == own.params else own.trainable_params,
        weight_bytes=own.weight_bytes,
        macs=own.macs or 0,
        training_macs=own.training_macs or 0,
        unknown={name: _counts(operator) for name, *operator in module.unknown},
        aliases=module.aliases,
        at=module.at,
    )
    for child in module.children:
        segment = _segment(child.keys)
        yield from to_lines(child, f"{path}.{segment}" if path else segment)


class Convention(Struct, frozen=True):
    """Whether forward and backward were measured, so that a cost is 0 or None, and the FLOPs for each MAC."""

    ran: bool
    trained: bool
    flops_per_mac: int

    def costs(self, line: ModuleLine) -> OwnCosts:
        """Return what one module of a line costs by itself."""
        macs = line.macs if self.ran else None
        training = line.training_macs if self.trained else None
        return OwnCosts(
            params=line.params,
            trainable_params=line.params if line.trainable_params is None else line.trainable_params,
            macs=macs,
            flops=None if macs is None else macs * self.flops_per_mac,
            training_macs=training,
            training_flops=None if training is None else training * self.flops_per_mac,
            weight_bytes=line.weight_bytes,
        )


def from_lines(lines: Sequence[ModuleLine], convention: Convention) -> FoldedModule:
    """Return the folded tree of which these are the lines. Raises ValueError for lines that are no tree."""
    if not lines or lines[0].name:
        raise ValueError("the modules do not begin with the model itself")
    root, rest = _module(lines, 0, "", convention)
    if rest != len(lines):
        raise ValueError(f'the module "{lines[rest].name}" does not follow its parent')
    return root


def _module(lines: Sequence[ModuleLine], at: int, prefix: str, convention: Convention) -> tuple[FoldedModule, int]:
    line, following = lines[at], at + 1
    segment = line.name.removeprefix(prefix)
    if "." in segment or (line.name and not segment):
        raise ValueError(f'the module "{line.name}" does not follow its parent')
    below = f"{line.name}." if line.name else ""
    # Parents come first, so the lines of a tree are nested like its modules.
    children = []
    while following < len(lines) and lines[following].name and lines[following].name.startswith(below):
        child, following = _module(lines, following, below, convention)
        children.append(child)
    _check_siblings(line.name, children)
    folded = FoldedModule(
        keys=_keys(segment),
        cls=line.cls,
        calls=line.calls,
        own=convention.costs(line),
        at=line.at,
        aliases=line.aliases,
        unknown=tuple(_operator(name, counts) for name, counts in line.unknown.items()),
        children=tuple(children),
    )
    return folded, following


def _check_siblings(parent: str, children: Sequence[FoldedModule]) -> None:
    """Raise ValueError unless the modules of one parent have different names, and different places where they say."""
    keys = [key for child in children for key in child.keys]
    places = [place for child in children for place in child.at]
    if len({*keys}) < len(keys):
        twice = Counter(keys).most_common(1)[0][0]
        raise ValueError(f'the module "{parent}" has two modules "{twice}"')
    said = all(not child.at or len(child.at) == len(child.keys) for child in children)
    if not said or len({*places}) < len(places) or any(place >= len(keys) for place in places):
        raise ValueError(f'the places ("at") of the modules of "{parent}" are not those of {len(keys)} modules')


def _counts(operator: list[int | None]) -> tuple[int, ...]:
    return tuple(count for count in operator if count is not None)


def _operator(name: str, counts: tuple[int, ...]) -> Operator:
    if not 2 <= len(counts) <= 3:
        raise ValueError(f"the operator {name} has {len(counts)} numbers, not calls, MACs and perhaps training MACs")
    return name, counts[0], counts[1], counts[2] if len(counts) == 3 else None


def _segment(keys: tuple[str, ...]) -> str:
    """Return the keys of equal siblings as one part of a path: ``{0-79}``, or ``{up,down}``."""
    quoted = [_SPECIAL.sub(lambda found: f"%{ord(found[0]):02X}", key) for key in keys]
    if len(keys) == 1:
        return quoted[0]
    # Not names.ranges, which is for people: this text is read again, and every key has to come back as it was.
    first, last = keys[0], keys[-1]
    if first.isdecimal() and last.isdecimal() and keys == tuple(map(str, range(int(first), int(last) + 1))):
        return f"{{{first}-{last}}}"
    return f"{{{','.join(quoted)}}}"


def _keys(segment: str) -> tuple[str, ...]:
    inside = segment[1:-1] if segment.startswith("{") and segment.endswith("}") else None
    if inside is None or "," in inside:
        return tuple(map(unquote, (inside or segment).split(",")))
    first, _, last = inside.partition("-")
    if not (first.isdecimal() and last.isdecimal()) or int(first) > int(last):
        raise ValueError(f'"{{{inside}}}" is no range of modules')
    if int(last) - int(first) >= MOST_MODULES:
        raise ValueError(f'"{{{inside}}}": no model has {MOST_MODULES} equal modules')
    return tuple(map(str, range(int(first), int(last) + 1)))
