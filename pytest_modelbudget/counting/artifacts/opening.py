"""Open an artifact: a program that ``torch.export`` made, or a file that holds one, or a file of weights."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

from torch import nn
from torch.export import ExportedProgram, load

from pytest_modelbudget.counting.artifacts.safetensors import (
    Entry,
    elements,
    entries_of_file,
    size_of_file,
)
from pytest_modelbudget.counting.errors import is_interrupt
from pytest_modelbudget.counting.modules.index import escaped
from pytest_modelbudget.counting.torch_private import storage_identity, storage_of
from pytest_modelbudget.factories import ARTIFACTS
from pytest_modelbudget.measurement import Costs, Measurement, MeasurementError, ModuleCost
from pytest_modelbudget.names import natural

_UNKNOWN_CLASS = "Module"


@dataclass(frozen=True, slots=True)
class Program:
    """A program as a module, the inputs with which it was exported, and the name and size of its file, if any."""

    module: nn.Module
    inputs: tuple[tuple[Any, ...], dict[str, Any]] | None
    name: str | None = None
    file_bytes: int | None = None


def is_file_of_weights(path: Path) -> bool:
    """Return whether a file holds weights, and nothing that could be run."""
    return path.name.endswith(ARTIFACTS[1:])


def name_of_file(path: Path) -> str:
    """Return what a model is called after its file: ``net`` of ``build/net.pt2``."""
    return path.name.partition(".")[0] or path.name


def program_of(model: Any) -> Program | None:
    """Return the program that ``model`` is or that its file holds; None for a module or factory.

    Loading a file unpickles: it runs what is in it, as importing a module does. Raises MeasurementError for a file that
    cannot be loaded, and ``TypeError`` for one of another kind.
    """
    if isinstance(model, ExportedProgram):
        return Program(_module_of(model), model.example_inputs)
    if not isinstance(model, Path):
        return None
    if not model.name.endswith(ARTIFACTS):
        raise TypeError(f"{model}: an artifact is a .pt2 file, or a .safetensors file or its index")
    if not model.is_file():
        raise MeasurementError(f"{model}: cannot be read: there is no such file")
    if not _may_be_program(model):
        raise MeasurementError(f"{model}: is no exported program")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of how torch 2.4 loads, which may be an error
            program = load(model)
    except Exception as error:
        if is_interrupt(error):
            raise
        reason = str(error).partition("\n")[0]
        raise MeasurementError(f"{model}: is no exported program that this torch loads: {reason}") from None
    return Program(_module_of(program), program.example_inputs, name_of_file(model), model.stat().st_size)


def _may_be_program(path: Path) -> bool:
    """Return whether a file is an archive with what marks a program, since torch 2.7 or before it.

    Of another archive torch logs a traceback, and says to look there.
    """
    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in archive.namelist())


def _module_of(program: ExportedProgram) -> nn.Module:
    """Return the module of a program, in which tied weights are one again: a file holds them apart."""
    module = program.module()
    known: dict[tuple[Any, ...], nn.Parameter] = {}
    for name, weight in [*module.named_parameters(remove_duplicate=False)]:
        place = storage_identity(storage_of(weight)), weight.storage_offset(), weight.shape, weight.stride()
        owner, _, key = name.rpartition(".")
        setattr(module.get_submodule(owner), key, known.setdefault(place, weight))
    return module


def measured_weights(path: Path, name: str | None, flops_per_mac: int) -> Measurement:
    """Return the measurement of a file of weights, from its header alone; buffers cannot be told from parameters.

    Raises MeasurementError for a file that is none.
    """
    entries, size = entries_of_file(path)
    root = _module("", {name: entries[name] for name in sorted(entries, key=natural)})
    return Measurement(
        name=name or name_of_file(path),
        params=root.total.params,
        trainable_params=root.total.trainable_params,
        weight_bytes=root.total.weight_bytes,
        modules=root,
        flops_per_mac=flops_per_mac,
        named=True,
        file_bytes=size,
        safetensors_bytes=size_of_file(entries),
    )


def _module(name: str, entries: Mapping[str, Entry]) -> ModuleCost:
    """Return the module called ``name`` with the tensors below it, by their names there."""
    below: dict[str, dict[str, Entry]] = {}
    own = []
    for key, entry in entries.items():
        part, dot, rest = key.partition(".")
        if dot:
            below.setdefault(part, {})[rest] = entry
        else:
            own.append(entry)
    prefix = f"{name}." if name else ""
    children = tuple(_module(prefix + escaped(part), inner) for part, inner in below.items())
    costs = _costs(own)
    total = _costs(entries.values()) if children else costs
    return ModuleCost(name, _UNKNOWN_CLASS, 0, costs, total, (), children)


def _costs(entries: Iterable[Entry]) -> Costs:
    params = nbytes = 0
    for entry in entries:
        params += elements(entry)
        nbytes += entry.nbytes
    return Costs(params, params, weight_bytes=nbytes)
