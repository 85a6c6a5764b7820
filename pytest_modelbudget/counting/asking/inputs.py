"""What is measured, and on which inputs: check what the caller gave."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from numbers import Integral, Number
from typing import Any

import torch
from msgspec import structs
from torch import nn

from pytest_modelbudget import specs
from pytest_modelbudget.counting.asking.input_tensors import Inputs, map_tensors
from pytest_modelbudget.counting.containers import attributes_in
from pytest_modelbudget.counting.modules.index import ModuleIndex, class_name
from pytest_modelbudget.counting.torch_private import compiled_original
from pytest_modelbudget.factories import is_name_of_object, optimizer_maker
from pytest_modelbudget.measurement import WHAT_NAMES_ARE, Mode, is_printable
from pytest_modelbudget.specs import FLOATS, InputSpec, SpecError

_COMPUTED_WITH = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


_INSTEAD = {"ExportedProgram": "its module()", "ONNXProgram": "the module that was exported"}


def check_model(model: Any) -> Any:
    """Return ``model`` if it is a module or a factory: a class, a function, or what wraps one. Raises ``TypeError``."""
    if inspect.ismethod(model) and isinstance(model.__self__, nn.Module):
        name = model.__name__
        raise TypeError(f'{name} is a method of {class_name(model.__self__)}: pass the model, and method="{name}"')
    if isinstance(model, (nn.Module, type, partial)) or inspect.isroutine(model):
        return model
    if inspect.getattr_static(model, "__wrapped__", None) is not None:
        return model
    wanted = "an nn.Module, or a function without arguments that returns one"
    raise TypeError(f"measure() takes {wanted}, not {_type_name(model)}{_instead('pass', model)}")


def check_built(model: Any, factory: Any) -> nn.Module:
    """Return what a factory returned, or raise ``TypeError`` where that is no module."""
    if not isinstance(model, nn.Module):
        returned = f"{factory_label(factory, 'the factory')} returned {_type_name(model)}, not an nn.Module"
        raise TypeError(returned + _instead("return", model))
    return model


def _instead(verb: str, model: Any) -> str:
    """Return which module is probably meant by what is none."""
    attributes = (attributes_in(model) or {}).items()
    held = [f"{name} ({class_name(one)})" for name, one in attributes if isinstance(one, nn.Module)]
    instead = _INSTEAD.get(type(model).__name__) or (f"one of its modules: {', '.join(held)}" if held else "")
    if isinstance(model, (str, os.PathLike)):
        instead = "what is loaded from it"
    return instead and f"; {verb} {instead}"


def check_train(train: Any) -> bool | None:
    """Return the mode that was asked for, if one was. Raises ``TypeError``."""
    if train is None or isinstance(train, bool):
        return train
    raise TypeError(f"train is True, False, or None for the model as it is, not {train!r}")


def check_ranks(ranks: Any, model: Any) -> int | None:
    """Return how many ranks there are, if that was said. Raises ``TypeError``."""
    if ranks is None:
        return None
    if not isinstance(ranks, int) or isinstance(ranks, bool) or ranks < 1:
        raise TypeError(f"ranks is how many ranks there are, as in ranks=2, not {ranks!r}")
    if isinstance(model, nn.Module):
        raise TypeError("ranks are there only while the model is built and run: pass a factory that shards it")
    return ranks


def check_cache(cache: Any, *, backward: bool, has_inputs: bool) -> int | None:
    """Return how many tokens are cached before one decode step, if that was said. Raises ``TypeError``."""
    if cache is None:
        return None
    if not isinstance(cache, int) or isinstance(cache, bool) or cache < 1:
        raise TypeError(f"cache is how many tokens are cached, as in cache=4096, not {cache!r}")
    if backward:
        raise TypeError("cache: a decode step has no backward pass")
    if not has_inputs:
        raise TypeError('cache: give the inputs of one step, as in inputs="1x1 int64"')
    return cache


def check_optimizer(optimizer: Any) -> Callable[[Any], Any] | None:
    """Return what makes an optimizer of parameters, if one was given. Raises ``TypeError``."""
    if isinstance(optimizer, (str, Mapping)):
        return optimizer_maker(optimizer, None)
    if optimizer is not None and not callable(optimizer):
        raise TypeError(f"optimizer is a callable of parameters, as in torch.optim.AdamW, not {optimizer!r}")
    made: Callable[[Any], Any] | None = optimizer
    return made


def check_dtype(dtype: Any, model: Any) -> str | None:
    """Return the floating-point dtype in which a model is to be built, by its name. Raises ``TypeError``."""
    if dtype is None:
        return None
    name = str(dtype).removeprefix("torch.")
    if name not in FLOATS:
        raise TypeError(f"dtype is one of {', '.join(FLOATS)}, not {dtype!r}")
    if isinstance(model, nn.Module):
        raise TypeError(
            f"dtype casts what a factory builds, and {class_name(model)} is built already: pass a factory, or the "
            f"model that model.to(torch.{name}) returns"
        )
    return name


def check_convention(flops_per_mac: Any) -> int:
    """Return the number of FLOPs of one MAC, or raise ``ValueError``."""
    if flops_per_mac not in (1, 2):
        raise ValueError(f"flops_per_mac must be 2, or 1 for the convention of most papers, not {flops_per_mac!r}")
    return int(flops_per_mac)


def check_method(method: Any) -> str:
    """Return the name of the method to run, or raise ``TypeError``."""
    if not isinstance(method, str) or not method.isidentifier():
        raise TypeError(f'method must be the name of a method, as in method="training_step", not {method!r}')
    return str.__str__(method)


def mode_of(model: Any) -> Mode | None:
    """Return the mode of a model; a frozen graph has none, nor has a program, to which torch gives another train()."""
    if not hasattr(model, "training") or "train" in vars(model):
        return None
    return "train" if model.training else "eval"


def method_of(built: nn.Module, name: str) -> Callable[..., Any]:
    """Return what runs a model: the model itself, or the method called ``name``. Raises ``TypeError``."""
    if name == "forward":
        return built
    found: Callable[..., Any] | None = getattr(built, name, None)
    if isinstance(found, nn.Module):
        raise TypeError(f'{name} is a part of {class_name(built)}, not a method; limit it with module="{name}"')
    if found is None or not callable(found):
        meant = get_close_matches(name, {*dir(type(built))} - {*dir(nn.Module)}, 1)
        hint = f"; did you mean {meant[0]}?" if meant else ""
        raise TypeError(f"{class_name(built)} has no method {name}{hint}")
    return found


def check_arguments(args: Any, kwargs: Any) -> Inputs | None:
    """Return the inputs as ``(args, kwargs)``, or None where there are none. A tuple is unpacked, unless it has names.

    Raises ``TypeError``.
    """
    if isinstance(args, Mapping):
        raise TypeError(
            "args is a dict: pass keyword inputs as kwargs=..., and a dict that is one input as args=({...},)"
        )
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs must be a dict of keyword inputs, not {_type_name(kwargs)}")
    positional = args if isinstance(args, tuple) and not hasattr(args, "_fields") else (args,)
    return (positional, dict(kwargs or {})) if positional or kwargs else None


def check_inputs(inputs: Any, input_size: Any) -> specs.Inputs | None:
    """Return what ``inputs``, or ``input_size`` by its older name, asks for; None where neither is given."""
    if inputs is not None and input_size is not None:
        raise TypeError("input_size is the older name of inputs: give one of them")
    if inputs is not None:
        return inputs_of(inputs)
    if input_size is None:
        return None
    found = inputs_of(input_size, "input_size")
    positional = [one for given in found.positional for one in _flat(given)]  # as it always took nested lists
    return structs.replace(found, positional=tuple(positional))


def _flat(given: Any) -> list[Any]:
    return [one for inner in given for one in _flat(inner)] if isinstance(given, list) else [given]


def check_name(name: Any) -> str | None:
    """Return the name that the user gave as an exact ``str``; without one, None."""
    if name is None:
        return None
    if not isinstance(name, str) or not name:
        raise TypeError(f"name must be a non-empty string, not {name!r}")
    exact = str.__str__(name)  # a subclass may write itself otherwise
    if not is_printable(exact):
        raise ValueError(f"name = {exact!a}: {WHAT_NAMES_ARE}")
    return exact


def inputs_of(given: Any, called: str = "inputs") -> specs.Inputs:
    """Return the inputs that a shape, a spec, or a list or dict (by keyword) of them asks for; ``called`` is its name.

    Raises ``TypeError`` for anything else, and SpecError for a malformed spec.
    """
    if isinstance(given, specs.Inputs):
        found = given
    elif is_name_of_object(given):
        found = specs.Inputs(function=given)
    elif isinstance(given, (str, InputSpec)):
        found = specs.Inputs((_input(given, called),))
    elif isinstance(given, Sequence) and _is_shape(given):
        found = specs.Inputs((_shape(given),))
    elif isinstance(given, Sequence) and not all(isinstance(one, Number) for one in given):
        found = specs.Inputs(tuple(_input(one, called) for one in given))
    elif isinstance(given, Mapping) and given:
        found = specs.Inputs((), {str(key): _input(one, called) for key, one in given.items()})
    else:
        raise _no_input(given, called)
    if found.steps > 1:
        raise SpecError("a range of sizes belongs to scaling: one measurement has one size of each dimension")
    return found


def _input(given: Any, called: str) -> Any:
    if isinstance(given, str):
        return specs.parse_text(given)
    if isinstance(given, Mapping):
        return {key: _input(one, called) for key, one in given.items()}
    if isinstance(given, Sequence):
        return _shape(given) if given and _is_shape(given) else [_input(one, called) for one in given]
    if given is None or isinstance(given, (InputSpec, Number)):
        return given
    raise _no_input(given, called)


def _no_input(given: Any, called: str) -> TypeError:
    values = "; pass values by args= and kwargs=" if isinstance(given, torch.Tensor) else ""
    shown = _type_name(given) if isinstance(given, torch.Tensor) else repr(given)
    return TypeError(
        f'{called} must be a shape such as (1, 3, 224, 224), a spec such as "1x128 int64", or a list or dict of them, '
        f"not {shown}{values}"
    )


def _shape(sizes: Sequence[Any]) -> InputSpec:
    return InputSpec(tuple((int(size),) for size in sizes))


def _is_shape(value: Sequence[Any]) -> bool:
    return all(isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 0 for size in value)


def with_dtypes(inputs: specs.Inputs, index: ModuleIndex) -> Inputs:
    """Return inputs for specs: floats without values, integers filled as they say, and booleans that are true.

    Without a dtype an input has that of the model's floating-point weights.
    """
    of_weights = dtype_of_weights(index) or torch.get_default_dtype()
    device = device_of_weights(index)

    def made(spec: InputSpec) -> torch.Tensor:
        dtype = getattr(torch, spec.dtype) if spec.dtype else of_weights
        if dtype.is_floating_point or dtype.is_complex:
            return torch.empty(spec.shape, dtype=dtype, device="meta")
        return torch.full(spec.shape, spec.fill or int(dtype is torch.bool), dtype=dtype, device=device)

    return inputs.map_specs(made)


def dtype_of_weights(index: ModuleIndex) -> torch.dtype | None:
    """Return the dtype in which the weights compute, if there are any."""
    return next(
        (tensor.dtype for tensor in (*index.parameters, *index.buffers) if tensor.dtype in _COMPUTED_WITH), None
    )


def with_data(inputs: Inputs, device: torch.device | None) -> Inputs:
    """Return inputs that were given as specs with data, the same at every call, for a real run."""
    generator = torch.Generator().manual_seed(0)

    def filled(item: torch.Tensor) -> torch.Tensor:
        if not item.is_meta:
            return item
        return torch.rand(item.shape, generator=generator).to(device, item.dtype)

    return map_tensors(filled, inputs)


def model_name(model: Any, built: nn.Module, name: str | None) -> tuple[str, bool]:
    """Return the model's name and whether the user gave it: ``name=``, a factory's name, or the class."""
    if name is not None:
        return name, True
    of_factory = factory_name(model)
    if of_factory is not None:
        return of_factory, True
    return model_class(built), False


def factory_name(factory: Any) -> str | None:
    """Return the ``__name__`` of a factory function; lambdas, partials, classes and modules have none of their own."""
    if isinstance(factory, (nn.Module, type)):
        return None
    name = getattr(factory, "__name__", None)
    return str.__str__(name) if isinstance(name, str) and str.isidentifier(name) else None


def factory_label(factory: Any, otherwise: str = "the model") -> str:
    """Return what to call a factory in a message; lambdas have no name."""
    if isinstance(factory, partial):
        return f"partial({factory_label(factory.func, '...')})"
    name = factory.__name__ if isinstance(factory, type) else factory_name(factory)
    return name or otherwise


def model_class(model: nn.Module) -> str:
    """Return the class name of a model, without the wrappers that compile or parallelise it."""
    while True:
        inner = compiled_original(model)
        if inner is None and type(model).__name__ in ("DataParallel", "DistributedDataParallel"):
            inner = getattr(model, "module", None)
        if not isinstance(inner, nn.Module):
            break
        model = inner
    return class_name(model)


def device_of_weights(index: ModuleIndex) -> torch.device:
    """Return where the weights are, and so where inputs without a device of their own belong."""
    first: torch.device | None = None
    for weight in index.parameters:
        if weight.device.type != "meta":
            return weight.device
        first = first or weight.device
    return first or torch.empty(0).device  # get_default_device() of torch 2.4 fails where one was set and taken back


def _type_name(value: Any) -> str:
    return "None" if value is None else f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
