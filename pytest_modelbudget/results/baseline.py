"""The lock file: the measurements that a project has accepted, committed beside its code.

Equal measurements give equal bytes: models and inputs are sorted, every metric and every module has a line of its own,
and nothing tells a time, a machine or a version. A model's name stands right above its metrics, so that a diff that
changes one shows it; metrics that follow from others are not written twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct, field, structs

from pytest_modelbudget.budgets.status import BYTES_OF_A_WEIGHT
from pytest_modelbudget.measurement import Measurement, Mode
from pytest_modelbudget.metrics import METRICS, OF_THE_WHOLE, needing
from pytest_modelbudget.results.folding import FoldedMeasurement, fold, unfold
from pytest_modelbudget.results.lock_checks import check_entry, check_keys, check_model
from pytest_modelbudget.results.lock_lines import (
    Convention,
    Count,
    ModuleLine,
    from_lines,
    to_lines,
)

SCHEMA: Final = 2
_OLDER: Final = (1,)
"""Schemas that are read too; whatever is written anew has the latest."""
DEFAULT_NAME: Final = "modelbudget.lock.json"
_FOLLOWS: Final = {
    "trainable_params": "params",
    "weight_bytes": "params",
    "flops": "macs",
    "training_flops": "training_macs",
}
"""The metrics that may be left out, and what has to be there then."""
_CONFLICT = re.compile(r"^(<<<<<<< |=======$|>>>>>>> )", re.MULTILINE)


class LockError(Exception):
    """What is wrong with a lock file, and the remedy."""


class LockedModel(Struct, frozen=True, forbid_unknown_fields=True):
    """One model for one set of inputs: its metrics, and its modules line by line.

    An entry without a ``mode`` is of a model that has none, or was not run, or was measured before modes were kept.
    """

    inputs: tuple[str, ...]
    metrics: Mapping[str, Count]
    modules: tuple[ModuleLine, ...]
    mode: Mode | None = None

    @classmethod
    def of(cls, measurement: Measurement) -> LockedModel:
        """Return what is kept of a measurement."""
        metrics = {metric: value for metric, value in measurement.values().items() if value is not None}
        # Which operators run depends on the machine, so they must not keep equal layers apart.
        modules = fold(structs.replace(measurement, operators=())).modules
        return cls(tuple(map(str, measurement.inputs)), metrics, tuple(to_lines(modules)), measurement.mode)

    def measurement(self, name: str, flops_per_mac: int) -> Measurement:
        """Return the measurement that was kept, without inputs and operators. Raises ValueError if it is none."""
        convention = Convention("macs" in self.metrics, "training_macs" in self.metrics, flops_per_mac)
        folded = from_lines(self.modules, convention)
        found = FoldedMeasurement(name, folded, flops_per_mac=flops_per_mac, named=True, mode=self.ran_in)
        of_the_whole = {metric: self.metrics.get(metric) for metric in OF_THE_WHOLE}
        return unfold(structs.replace(found, **of_the_whole))

    @property
    def ran_in(self) -> Mode | None:
        """The mode in which the model ran; before modes were kept, a factory's model ran in train mode."""
        return self.mode or ("train" if "macs" in self.metrics else None)


class Lock(Struct, frozen=True, forbid_unknown_fields=True):
    """A lock file: by name, the accepted measurements of a model, one for each set of inputs."""

    schema: int = SCHEMA
    flops_per_mac: int = 2
    models: Mapping[str, tuple[LockedModel, ...]] = field(default_factory=dict)

    def find(self, measurement: Measurement) -> LockedModel | None:
        """Return what is kept for a measurement; one without inputs has the weights of any inputs."""
        inputs = tuple(map(str, measurement.inputs))
        return next(
            (model for model in self.models.get(measurement.name, ()) if model.inputs == inputs or not inputs), None
        )

    def identities(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the name and the inputs of everything that is kept."""
        return [(name, model.inputs) for name, models in self.models.items() for model in models]


class _Schema(Struct):
    schema: int


def read_lock(text: str, shown: str, flops_per_mac: int) -> Lock:
    """Return the lock in ``text``; ``shown`` is its file as people know it. Raises LockError."""
    again = f"Restore it (git checkout {shown}), or remove it and run pytest --modelbudget-update"
    if _CONFLICT.search(text):
        raise LockError(
            f"{shown}: has conflict markers. Take either side (git checkout --ours {shown}), then run "
            "pytest --modelbudget-update"
        )
    try:
        schema = msgspec.json.decode(text, type=_Schema).schema
        if schema not in (SCHEMA, *_OLDER):
            raise LockError(f"{shown}: has schema {schema}, and this version of the plugin knows {SCHEMA}. {again}")
        lock = _checked(msgspec.json.decode(text, type=Lock))
        check_keys(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        reason = "is empty" if not text.strip() else f"is not a lock file, or was edited by hand: {error}"
        raise LockError(f"{shown}: {reason}. {again}") from None
    if lock.flops_per_mac != flops_per_mac:
        raise LockError(
            f"{shown}: has flops_per_mac = {lock.flops_per_mac}, and the table {flops_per_mac}: two conventions are "
            f"never compared. Change flops_per_mac back, or remove {shown} and run pytest --modelbudget-update"
        )
    return lock


def _checked(lock: Lock) -> Lock:
    """Return a lock in whose metrics nothing is left out that follows from others.

    Raises ValueError for what no lock file holds that was written from measurements.
    """
    models = {}
    for name, found in lock.models.items():
        check_model(name, [model.inputs for model in found])
        models[name] = tuple(_checked_model(name, model, lock.flops_per_mac) for model in found)
    return structs.replace(lock, schema=SCHEMA, models=models)


def _checked_model(name: str, model: LockedModel, flops_per_mac: int) -> LockedModel:
    tree = from_lines(model.modules, Convention(ran=True, trained=True, flops_per_mac=flops_per_mac))
    sums = structs.asdict(tree.total())
    following = {metric: sums[metric] for metric, source in _FOLLOWS.items() if source in model.metrics}
    found = {**following, **model.metrics}
    metrics = {metric: found[metric] for metric in dict.fromkeys((*METRICS, *found)) if metric in found}
    check_entry(name, model.inputs, metrics, model.modules, sums)
    return structs.replace(model, metrics=metrics)


def _stated(metrics: Mapping[str, int]) -> dict[str, int]:
    """Return the metrics that do not follow from others: FLOPs do, and for most models all parameters are trained."""
    params = metrics["params"]
    following = {"flops", "training_flops"}
    following |= {"trainable_params"} if metrics["trainable_params"] == params else set()
    following |= {"weight_bytes"} if metrics["weight_bytes"] in [params * size for size in BYTES_OF_A_WEIGHT] else set()
    return {metric: value for metric, value in metrics.items() if metric not in following}


def write_lock(lock: Lock) -> str:
    """Return the text of a lock file."""
    models = [_model(name, lock.models[name]) for name in sorted(lock.models)]
    body = ",\n".join(models)
    return (
        f'{{\n  "schema": {SCHEMA},\n  "flops_per_mac": {lock.flops_per_mac},\n  "models": {{'
        + (f"\n{body}\n  " if models else "")
        + "}\n}\n"
    )


def _model(name: str, models: Iterable[LockedModel]) -> str:
    entries = ", ".join(_entry(model) for model in sorted(models, key=lambda model: model.inputs))
    return f"    {_json(name)}: [{entries}]"


def _entry(model: LockedModel) -> str:
    metrics = ",\n".join(f"      {_json(metric)}: {value}" for metric, value in _stated(model.metrics).items())
    modules = ",\n".join(f"      {_spaced(line)}" for line in model.modules)
    mode = f', "mode": {_json(model.mode)}' if model.mode else ""
    head = f'"inputs": {_spaced(model.inputs)}{mode}'
    return f'{{{head}, "metrics": {{\n{metrics}\n    }}, "modules": [\n{modules}\n    ]}}'


def other_mode(was: Mode | None, before: Mapping[str, int], now: Measurement) -> Mode | None:
    """Return the mode ``was`` of an earlier measurement, if it is another than now, and the model cost another amount.

    Then nothing has grown: the two are different computations.
    """
    if None in (was, now.mode) or was == now.mode:
        return None
    values = now.values()
    compared = [metric for metric in needing("forward", "backward") if None not in (before.get(metric), values[metric])]
    return was if any(before[metric] != values[metric] for metric in compared) else None


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _spaced(value: object) -> str:
    """Return the JSON of ``value`` on one line, with a space after every comma and colon."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def updated(lock: Lock, measured: Iterable[Measurement], *, lower: bool = False) -> Lock:
    """Return ``lock`` with these measurements; with ``lower``, only where a known one went down and none of it up."""
    models = {name: list(found) for name, found in lock.models.items()}
    for measurement in measured:
        known = lock.find(measurement)
        new = LockedModel.of(measurement)
        if lower and (known is None or not _is_lower(new.metrics, known.metrics)):
            continue
        if known is not None and not measurement.inputs and known.inputs:
            continue  # the weights alone do not take the place of a measurement that ran
        # An entry of the weights alone is replaced by the first one that ran.
        kept = [model for model in models.get(measurement.name, ()) if model.inputs not in (new.inputs, ())]
        models[measurement.name] = [*kept, new]
    return structs.replace(lock, models={name: tuple(found) for name, found in models.items()})


def _is_lower(new: Mapping[str, int], known: Mapping[str, int]) -> bool:
    shared = new.keys() & known.keys()
    return all(new[metric] <= known[metric] for metric in shared) and any(new[m] < known[m] for m in shared)


def pruned(lock: Lock, measured: Iterable[Measurement]) -> Lock:
    """Return ``lock`` with nothing in it but what was measured."""
    kept = {(measurement.name, tuple(map(str, measurement.inputs))) for measurement in measured}
    names = {name for name, inputs in kept if not inputs}
    models = {
        name: tuple(model for model in found if (name, model.inputs) in kept or name in names)
        for name, found in lock.models.items()
    }
    return structs.replace(lock, models={name: found for name, found in models.items() if found})
