"""The table ``[tool.modelbudget]``: from parsed TOML to budgets, with every mistake in it named at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final, Literal

from msgspec import Struct, field, structs

from pytest_modelbudget.budgets.declared import DECLARING, DeclaredModel, declared_entry
from pytest_modelbudget.budgets.errors import MalformedLimit, TableError
from pytest_modelbudget.budgets.growth import parse_growth
from pytest_modelbudget.budgets.limits import Limit, parse_limit, shortened
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.budgets.rules import Rules
from pytest_modelbudget.measurement import WHAT_NAMES_ARE, is_printable
from pytest_modelbudget.metrics import METRICS, nearest

Keys = tuple[str, ...]
Lines = Mapping[Keys, int]

ROOT: Final = ("tool", "modelbudget")
_CHOICES: Final[Mapping[str, tuple[object, ...]]] = {
    "new": ("report", "error"),
    "unbudgeted": ("report", "warn", "error"),
    "stale": ("error", "report", "warn"),
    "unknown_ops": ("error", "warn"),
    "flops_per_mac": (2, 1),
}
_BARE: Final = re.compile("[A-Za-z0-9_-]+")
_LIFTED: Final = "none"
_RISE: Final = ("growth", "floor")


class Table(Struct, frozen=True):
    """The table of a project; ``models`` keeps the order of the file, ``path`` is the file as people know it.

    ``baseline`` is the lock file that the project names; ``everywhere`` holds the growth that it allows every model,
    and ``declared`` the models that need no test.
    """

    path: str = "pyproject.toml"
    baseline: str | None = None
    everywhere: Rules = field(default_factory=Rules)
    new: Literal["report", "error"] = "report"
    default: Rules = field(default_factory=Rules)
    models: Mapping[str, Rules] = field(default_factory=dict)
    declared: tuple[DeclaredModel, ...] = ()
    unbudgeted: Literal["report", "warn", "error"] = "report"
    stale: Literal["report", "warn", "error"] = "error"
    unknown_ops: Literal["error", "warn"] = "error"
    flops_per_mac: Literal[1, 2] = 2


def table_from(document: Mapping[str, Any], path: str, lines: Lines) -> Table:
    """Return the table that the parsed TOML ``document`` holds under ``tool.modelbudget``.

    Raises TableError, which names every mistake with its full key path and the nearest valid key.
    """
    reader = _Reader(path, lines)
    table = reader.table(ROOT, document["tool"]["modelbudget"])
    if reader.mistakes:
        raise TableError(reader.mistakes)
    return table


def key_path(keys: Keys) -> str:
    """Return ``keys`` as TOML would write them, quoted where they must be."""
    return ".".join(key if _BARE.fullmatch(key) else _quoted(key) for key in keys)


def _quoted(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04X}" for c in escaped) + '"'


@dataclass(slots=True)
class _Reader:
    """Walk the table, and collect mistakes instead of stopping at the first."""

    path: str
    lines: Lines
    mistakes: list[str] = dataclass_field(default_factory=list)
    declared: list[DeclaredModel] = dataclass_field(default_factory=list)

    def table(self, at: Keys, data: object) -> Table:
        if not isinstance(data, Mapping):
            self.wrong(at, f"is a table, not {_shown(data)}")
            return Table(self.path)
        options: dict[str, Any] = {}
        everywhere = {key: value for key, value in data.items() if key in _RISE}
        if everywhere:
            options["everywhere"] = self.rules(at, everywhere)
        for key, value in data.items():
            here = (*at, key)
            if key in _RISE:
                continue
            if key == "baseline":
                options[key] = self.file_name(here, value)
            elif key == "default":
                options[key] = self.rules(here, value)
            elif key == "models":
                options[key] = self.models(here, value)
                options["declared"] = tuple(self.declared)
            elif key in _CHOICES:
                options[key] = self.choice(here, value, _CHOICES[key])
            else:
                self.unknown(here, ("default", "models", "baseline", *_RISE, *_CHOICES))
        return Table(self.path, **options)

    def models(self, at: Keys, data: object) -> dict[str, Rules]:
        if not isinstance(data, Mapping):
            self.wrong(at, f"is a table of models, not {_shown(data)}")
            return {}
        return {name: self.entry(self.name(at, name), data) for name in data}

    def name(self, at: Keys, name: str) -> Keys:
        """Return the keys of an entry for ``name``; one that no model and no module has is a mistake."""
        if not name.strip() or not is_printable(name):
            self.wrong((*at, name), f"names nothing: {WHAT_NAMES_ARE}")
        return (*at, name)

    def entry(self, at: Keys, models: Mapping[str, object]) -> Rules:
        """Read the entry of one model: its rules, and how to build and call it where it needs no test."""
        data = models[at[-1]]
        if not isinstance(data, Mapping):
            return self.rules(at, data)
        parts = self.parts((*at, "modules"), data["modules"]) if "modules" in data else ()
        if not data.keys().isdisjoint(DECLARING):
            self.declare(at, data, models)
        kept = {key: value for key, value in data.items() if key not in (*DECLARING, "modules")}
        return structs.replace(self.rules(at, kept, (*DECLARING, "modules")), parts=parts)

    def declare(self, at: Keys, data: Mapping[str, object], models: Mapping[str, object]) -> None:
        """Read how the model of an entry is built and called."""
        source = next((key for key in ("factory", "artifact", "like") if key in data), "factory")
        place = self.place((*at, source), at)
        declared = declared_entry(at[-1], models, place)
        if isinstance(declared, DeclaredModel):
            self.declared.append(declared)
            return
        liked = declared_entry(str(data["like"]), models, place) if "like" in data else []
        for where, what in declared:
            if "like" not in data or where[0] in data:
                self.wrong((*at, *where), what)
            elif isinstance(liked, DeclaredModel) or (where, what) not in liked:  # else it is told there
                self.wrong((*at, "like"), f"= {_shown(data['like'])}: {key_path(where)} {what}")

    def parts(self, at: Keys, data: object) -> tuple[Rules, ...]:
        """Read the tables for parts of a model, by the names or patterns of modules."""
        if not isinstance(data, Mapping):
            self.wrong(at, f"is a table of modules, not {_shown(data)}")
            return ()
        for pattern, entry in data.items():
            for metric in entry if isinstance(entry, Mapping) else ():
                if metric in METRICS and not METRICS[metric].has_parts:
                    self.wrong((*at, pattern, metric), "is of the whole model, and of no part of it")
        return tuple(
            structs.replace(self.rules((*at, pattern), entry), module=pattern) for pattern, entry in data.items()
        )

    def rules(self, at: Keys, data: object, also: tuple[str, ...] = ()) -> Rules:
        if not isinstance(data, Mapping):
            self.wrong(at, f"is a table of limits, not {_shown(data)}")
            return Rules()
        rules = Rules(place=self.place(at, at))
        self.rise_of_all(at, data, rules)
        message = ""
        for key, value in data.items():
            here = (*at, key)
            if key == "message":
                message = _without_controls(self.text(here, value) or "")
            elif key in _RISE:
                continue
            elif key not in METRICS:
                self.unknown(here, (*METRICS, *_RISE, "message", *also))
            elif isinstance(value, Mapping):
                self.bounds(here, value, rules)
            else:
                self.limit(here, key, value, _writable(rules.limits))
                if value == _LIFTED:
                    _writable(rules.warns)[key] = None
                    _writable(rules.growths)[key] = None
        return structs.replace(rules, message=message or None)

    def rise_of_all(self, at: Keys, data: Mapping[str, object], rules: Rules) -> None:
        """Read ``growth`` and ``floor`` beside the metrics of a table, which are for all of them."""
        before = len(self.mistakes)
        for metric in (name for name, known in METRICS.items() if not known.is_of_file):
            if "growth" in data and len(self.mistakes) == before:
                self.growth((*at, "growth"), metric, data["growth"], rules)
            if "floor" in data and len(self.mistakes) == before:
                self.limit((*at, "floor"), metric, data["floor"], _writable(rules.floors))

    def bounds(self, at: Keys, data: Mapping[str, object], rules: Rules) -> None:
        """Read ``{ max = ..., warn = ..., growth = ..., floor = ... }``."""
        metric = at[-1]
        into = {"max": rules.limits, "warn": rules.warns, "floor": rules.floors}
        if not data:
            self.wrong(at, "is empty: give max, warn, growth or floor")
        for key, value in data.items():
            if key == "growth":
                self.growth((*at, key), metric, value, rules)
            elif key in into:
                self.limit((*at, key), metric, value, _writable(into[key]))
            else:
                self.unknown((*at, key), ("max", "warn", *_RISE))
        most, warn = rules.limits.get(metric), rules.warns.get(metric)
        if most and warn and warn.value > most.value:
            self.wrong(at, f"would never warn: warn ({warn.text}) is above max ({most.text})")

    def limit(self, at: Keys, metric: str, value: object, into: dict[str, Limit | None]) -> None:
        if value == _LIFTED:
            into[metric] = None
            return
        owner = at[:-2] if len(at) > 1 and at[-2] in METRICS else at[:-1]
        try:
            into[metric] = parse_limit(metric, value, self.place(at, owner))
        except MalformedLimit as error:
            self.wrong(at, f"= {_shown(value)}: {error}")

    def growth(self, at: Keys, metric: str, value: object, rules: Rules) -> None:
        owner = at[:-2] if at[-2] in METRICS else at[:-1]
        if value == _LIFTED:
            _writable(rules.growths)[metric] = None
            return
        try:
            _writable(rules.growths)[metric] = parse_growth(value, self.place(at, owner))
        except MalformedLimit as error:
            self.wrong(at, f"= {_shown(value)}: {error}")

    def file_name(self, at: Keys, value: object) -> str | None:
        name = self.text(at, value)
        if name == "":
            self.wrong(at, "is empty: name the lock file, or leave the key out")
        return name or None

    def place(self, at: Keys, table: Keys) -> Place:
        return Place(self.path, self.lines.get(at), f"[{key_path(table)}]")

    def choice(self, at: Keys, value: object, valid: tuple[object, ...]) -> object:
        # 2.0 and true are equal to 2 and 1, and mean something else.
        if not any(value == option and type(value) is type(option) for option in valid):
            self.wrong(at, f"is one of {', '.join(map(_shown, valid))}, not {_shown(value)}")
            return valid[0]
        return value

    def text(self, at: Keys, value: object) -> str | None:
        if isinstance(value, str):
            return value
        self.wrong(at, f"is a string, not {_shown(value)}")
        return None

    def unknown(self, at: Keys, valid: tuple[str, ...]) -> None:
        meant = nearest(at[-1], valid)
        hint = f"did you mean {meant}?" if meant else f"valid are {', '.join(valid)}"
        self.wrong(at, f"is not a key of the plugin; {hint}")

    def wrong(self, at: Keys, what: str) -> None:
        line = self.lines.get(at)
        where = self.path if line is None else f"{self.path}:{line}"
        self.mistakes.append(f"{where}: {key_path(at)} {what}")


def _writable(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dict that rules being read are collected in."""
    assert isinstance(mapping, dict)
    return mapping


def _without_controls(text: str) -> str:
    """Return a text that a terminal only shows: what would steer it is escaped."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1] for letter in text)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    return shortened(value).replace("'", '"')
