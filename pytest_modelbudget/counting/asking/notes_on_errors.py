"""What is added to an exception of the model: what was being measured, and how it may be meant."""

from __future__ import annotations

import inspect
import re
import types
from typing import Any

from torch import nn

from pytest_modelbudget.counting.asking import input_tensors, inputs
from pytest_modelbudget.counting.asking.task import Task
from pytest_modelbudget.counting.user_code import text_of
from pytest_modelbudget.measurement import MeasurementError

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_INTEGERS_WANTED = re.compile(r"Long|\bInt\b|\bindices\b|IntTensor|integer")
_DTYPES_DIFFER = re.compile(r"dtype|scalar type|Input type")


def add_notes(error: Exception, task: Task) -> None:
    """Add to an exception of the model what was being measured, and the most likely remedy."""
    if isinstance(error, MeasurementError):
        return
    hints = _needs_arguments(error, task), _list_of_inputs(task), _other_dtypes(error, task), _other_mode(task)
    for note in (_what_was_measured(task), next(filter(None, hints), "")):
        if note:
            add_note(error, note)


def add_note(error: Exception, note: str) -> None:
    """Add a note once, where ``add_note`` of Python 3.11 would; pytest shows what stands there on 3.10 too."""
    notes = vars(error).setdefault("__notes__", [])
    if isinstance(notes, list) and note not in notes:
        notes.append(note)


def _what_was_measured(task: Task) -> str:
    if task.built_class is None:
        return f"while building {inputs.factory_label(task.model)}"
    specs = ", ".join(map(str, input_tensors.input_specs(task.inputs)))
    note = f"while measuring {task.name or task.built_class}" + (f" with {specs}" if specs else "")
    return note + ("; the sizes include the batch dimension" if task.only_sizes else "")


def _needs_arguments(error: Exception, task: Task) -> str:
    """Explain how to pass a class or function that takes arguments."""
    if not task.is_factory or not isinstance(error, TypeError) or task.built_class is not None:
        return ""
    try:
        parameters = inspect.signature(task.model).parameters.values()
    except (TypeError, ValueError):
        return ""
    needed = [one for one in parameters if one.default is one.empty and one.kind not in _VARIADIC]
    if not needed:
        return ""
    if inspect.isfunction(task.model) and any(isinstance(value, nn.Module) for value in _values_named_in(task.model)):
        return f"{inputs.factory_label(task.model)} takes inputs, as a forward does: pass the model that it calls"
    arguments = ", ".join(f"{one.name}={one.name}" if one.kind is one.KEYWORD_ONLY else one.name for one in needed)
    name = inputs.factory_label(task.model)
    if task.inputs is not None and len(needed) == sum(map(len, task.inputs)):
        return f"{name} takes arguments: pass a module if they are inputs, and otherwise lambda: {name}({arguments})"
    declared = ", ".join(f"{one.name} = ..." for one in needed)
    return f"{name} needs arguments: pass lambda: {name}({arguments}), or declare arguments = {{ {declared} }}"


def _values_named_in(function: types.FunctionType) -> list[Any]:
    variables = inspect.getclosurevars(function)
    return [*variables.nonlocals.values(), *variables.globals.values()]


def _list_of_inputs(task: Task) -> str:
    """Explain that a list is one input, where several may have been meant."""
    if task.only_sizes or task.inputs is None or not isinstance(next(iter(task.inputs[0]), None), list):
        return ""
    return "a list in args is one input: pass a tuple, args=(...), for several"


def _other_mode(task: Task) -> str:
    """Say in which mode the model ran, and how to have the other."""
    if task.mode is None:
        return ""
    other, value = ("eval", "False") if task.mode == "train" else ("train", "True")
    return f"in {task.mode} mode; train={value} measures in {other} mode"


def _other_dtypes(error: Exception, task: Task) -> str:
    """Explain how to give inputs of other dtypes, where the exception speaks of dtypes."""
    if task.inputs is None or not isinstance(error, (RuntimeError, TypeError, IndexError)):
        return ""
    message = text_of(error)
    floats = [spec for spec in input_tensors.input_specs(task.inputs) if "float" in spec.dtype]
    if floats and _INTEGERS_WANTED.search(message):
        specs = dict.fromkeys(f'"{spec.size} int64"' for spec in floats)
        return f"integers are wanted, such as token ids: give {' or '.join(specs) if task.only_sizes else 'int64'}"
    differing = differing_dtypes(task) if _DTYPES_DIFFER.search(message) else ""
    return differing and f"{differing}: give inputs of the dtype of the weights"


def differing_dtypes(task: Task) -> str:
    """Return the dtypes of inputs and weights where they differ: ``input bfloat16, weights float32``."""
    dtypes = {one.dtype for one in input_tensors.tensors_of(task.inputs)} if task.inputs is not None else set()
    others = sorted(str(dtype) for dtype in dtypes if dtype is not task.dtype_of_weights)
    if task.dtype_of_weights is None or not others:
        return ""
    return f"input {', '.join(others)}, weights {task.dtype_of_weights}".replace("torch.", "")
