"""What is added to an exception of the model: what was being measured, and how it may be meant."""

from __future__ import annotations

import inspect
import re
from typing import Any

import torch
from torch import nn

from pytest_modelbudget.counting import input_tensors, inputs
from pytest_modelbudget.counting.origins import text_of
from pytest_modelbudget.counting.task import Task
from pytest_modelbudget.measurement import MeasurementError

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_INTEGERS_WANTED = re.compile(r"Long|\bInt\b|\bindices\b|IntTensor|integer")
_DTYPES_DIFFER = re.compile(r"dtype|scalar type|Input type")


def add_notes(error: Exception, task: Task) -> None:
    """Add to an exception of the model what was being measured, and what to do about common mistakes."""
    if isinstance(error, MeasurementError):
        return
    for note in (_what_was_measured(task), _needs_arguments(error, task), _other_dtypes(error, task)):
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
    return note + ("; input_size includes the batch dimension" if task.only_sizes else "")


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
    arguments = ", ".join(f"{one.name}={one.name}" if one.kind is one.KEYWORD_ONLY else one.name for one in needed)
    name = inputs.factory_label(task.model)
    return f"{name} needs arguments: pass lambda: {name}({arguments})"


def _other_dtypes(error: Exception, task: Task) -> str:
    """Explain how to give inputs of other dtypes, where the exception speaks of dtypes."""
    message = text_of(error)
    if task.inputs is None or not isinstance(error, (RuntimeError, TypeError, IndexError)):
        return ""
    tensors = input_tensors.tensors_of(task.inputs)
    if task.only_sizes and _INTEGERS_WANTED.search(message):
        sizes = "x".join(map(str, tensors[0].shape)) if tensors else "1x128"
        return (
            "input_size gives floating-point inputs unless it says otherwise; give integers, such as token ids, as "
            f'input_size="{sizes} int64"'
        )
    dtype = _dtype_of_weights(task.model)
    others = any(tensor.is_floating_point() and tensor.dtype is not dtype for tensor in tensors)
    if dtype is None or not others or not _DTYPES_DIFFER.search(message):
        return ""
    return f"the weights are {str(dtype).removeprefix('torch.')}: give floating-point inputs of that dtype"


def _dtype_of_weights(model: Any) -> torch.dtype | None:
    if not isinstance(model, nn.Module):
        return None
    return next((weight.dtype for weight in model.parameters() if weight.is_floating_point()), None)
