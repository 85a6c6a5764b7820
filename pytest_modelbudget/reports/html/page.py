"""The page: a template that is filled with what was found, and its styles and scripts, in one file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from itertools import count
from typing import Final
from urllib.parse import quote

import msgspec

from pytest_modelbudget.budgets.status import Status
from pytest_modelbudget.measurement import human
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.reports.changes import why
from pytest_modelbudget.reports.faults import counted_faults
from pytest_modelbudget.reports.heaviest import in_sentences
from pytest_modelbudget.reports.html.bars import STATES, Bar, Exact, State, bars, table
from pytest_modelbudget.reports.html.faults import faults
from pytest_modelbudget.reports.html.nodes import decoded
from pytest_modelbudget.reports.html.payload import payload
from pytest_modelbudget.reports.html.scaling import Line, lines
from pytest_modelbudget.reports.lines import NO_BREAK
from pytest_modelbudget.reports.message import remedies
from pytest_modelbudget.reports.terminal import counts
from pytest_modelbudget.reports.wording import circumstances, counted_how, how_to_accept
from pytest_modelbudget.results import About, Run
from pytest_modelbudget.results.standings import Standing, how_many, standings

_SCRIPTS: Final = ("numbers", "elements", "model", "icicle", "memory", "table", "changes", "sections", "page")


@dataclass(frozen=True, slots=True)
class Card:
    """One model on the page."""

    link: str
    name: str
    inputs: str
    state: State
    status: Status
    facts: tuple[str, ...]
    bars: tuple[Bar, ...]
    rows: tuple[Exact, ...]
    problems: tuple[tuple[str, str], ...]
    scaling: tuple[Line, ...]
    where: tuple[str, ...]
    message: str | None
    circumstances: tuple[str, ...]
    tests: tuple[str, ...]
    sizes: dict[str, int]
    payload: str


def render(run: Run) -> str:
    """Return the page of a run."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_asset("page.html.j2"))
    models = standings(run)
    taken: set[str] = set()
    cards = [_card(one, _link(one.verdict.model, taken)) for one in models]
    state, word, sentence = headline(run, models)
    script = _script()
    return template.render(
        state=state,
        word=word,
        sentence=sentence,
        project=run.about.project,
        about=tuple(_about(run.about)),
        convention=counted_how(run, models),
        faults=faults(run),
        cards=cards,
        kinds=how_many(models),
        sortable=_sortable(cards),
        style=_asset("page.css"),
        script=script,
        policy=f"default-src 'none'; script-src {_hash(script)}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'",
    )


def headline(run: Run, models: Sequence[Standing]) -> tuple[State, str, str]:
    """Return the colour of a run, the verdict in a word, and in a sentence."""
    faults = counted_faults(run)
    if not models and not faults:
        return "plain", "Nothing measured", "No model was measured."
    failed = bool(faults) or any(one.fails for one in models)
    parts = [*([counts(models)] if models else []), *faults]
    return "bad" if failed else "good", "Failed" if failed else "Passed", f"{', '.join(parts)}."


def _about(about: About) -> Iterator[str]:
    """Yield of which commit, when, and with what a run was."""
    if about.commit:
        yield f"commit {about.commit[:12]}"
    if about.time:
        yield about.time.replace("T", " ").replace("Z", " UTC")
    for name, version in (("torch", about.torch), ("pytest-modelbudget", about.plugin)):
        if version:
            yield f"{name} {version}"


def _link(name: str, taken: set[str]) -> str:
    """Return the name as JavaScript escapes it for a link; what has a name that is taken gets a number."""
    escaped, numbers = quote(name, safe="!~*'()"), count(2)
    link = escaped
    while link in taken:
        link = f"{escaped}-{next(numbers)}"
    taken.add(link)
    return link


def _card(one: Standing, link: str) -> Card:
    model = one.model
    assert model is not None
    values = {check.metric: check.value for check in one.verdict.checks if check.value is not None}
    return Card(
        link=link,
        name=model.name,
        inputs=one.inputs if model.inputs else "",
        state=STATES[one.status.level],
        status=one.status,
        facts=tuple(_facts(values, {found.metric for found in one.notable if found.module is None})),
        bars=tuple(bars(one)),
        rows=tuple(table(one)),
        problems=tuple(problems(one)),
        scaling=tuple(lines(one)),
        where=tuple(where(one)),
        message=one.verdict.message,
        circumstances=tuple(circumstances(decoded(model))[1:]),  # the convention stands above
        tests=model.tests,
        sizes=values,
        payload=payload(model),
    )


def problems(one: Standing) -> Iterator[tuple[str, str]]:
    """Yield what is wrong beside metrics that are too high, and how to go on; then where the limit stands."""
    assert one.model is not None
    for text in remedies(one.verdict, one.model.measurement):
        head, _, rest = text.partition("\n")
        yield head, rest.strip()
    if one.excesses and one.place is not None:
        accept = how_to_accept(one.excesses)
        yield f"declared at {one.place}", f"accept the growth: {accept}" if accept else ""


def where(one: Standing) -> Iterator[str]:
    """Yield what changed since the baseline, or where the metrics are that are too high."""
    assert one.model is not None
    yield from (f"Since the baseline: {cause}" for cause in why(one.causes))
    metrics = [found.metric for found in one.excesses if found.module is None] if not one.causes else []
    found = in_sentences(one.model.measurement.modules, one.name, metrics) if metrics else ()
    yield from (f"Heaviest by {text}" for text in found)


def _facts(values: dict[str, int], shown: set[str]) -> Iterator[str]:
    """Yield the metrics that say what kind of model it is, but for those that bars tell."""
    for metric, known in METRICS.items():
        if metric in values.keys() - shown and (known.column or known.needs == "backward"):
            yield f"{human(values[metric], metric)} {known.label}".replace(" ", NO_BREAK)


def _sortable(cards: list[Card]) -> list[tuple[str, str]]:
    return [(metric, known.label) for metric, known in METRICS.items() if any(metric in card.sizes for card in cards)]


def words_of_metrics() -> str:
    """Return the script that says what metrics are called, and their units."""
    labels = {name: metric.label for name, metric in METRICS.items()}
    units = {name: metric.unit for name, metric in METRICS.items() if metric.unit}
    return f"const LABELS = {_json(labels)}, UNITS = {_json(units)};"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _script() -> str:
    texts = [words_of_metrics(), *(_asset(f"{name}.js") for name in _SCRIPTS)]
    return '(() => {\n"use strict";\n' + "\n".join(texts) + "})();"


def _asset(name: str) -> str:
    text = files("pytest_modelbudget.reports.html").joinpath("assets", name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")  # as the browser reads it, for the hash


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
