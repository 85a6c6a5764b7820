"""One measurement that was asked for: of which model, on which inputs, and how."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from contextlib import nullcontext
from contextvars import copy_context
from copy import copy
from functools import partial
from typing import Any

import torch
from torch import nn

from pytest_modelbudget import specs
from pytest_modelbudget.counting.artifacts.safetensors import entries_of_state, size_of_file
from pytest_modelbudget.counting.asking import input_tensors, inputs
from pytest_modelbudget.counting.asking.caches import cache_bytes, filled_cache
from pytest_modelbudget.counting.asking.optimizers import Weights
from pytest_modelbudget.counting.memory.lifetimes import Lifetimes
from pytest_modelbudget.counting.memory.saved import SavedTensors
from pytest_modelbudget.counting.modules.index import ModuleIndex, class_name
from pytest_modelbudget.counting.modules.ledger import ROOT, Ledger
from pytest_modelbudget.counting.modules.outputs import name_of_unfinished, unfinished_parts
from pytest_modelbudget.counting.modules.totals import Request
from pytest_modelbudget.counting.progress import announce
from pytest_modelbudget.counting.restoring.changes import Changes
from pytest_modelbudget.counting.restoring.gradients import leaves_of, set_gradients_aside
from pytest_modelbudget.counting.restoring.storages import StorageSnapshot
from pytest_modelbudget.counting.torch_private import own_buffers, seen_by_function_modes
from pytest_modelbudget.measurement import Mode, TensorSpec

_PARALLEL = nn.parallel.DistributedDataParallel


class Task:
    """What one call of ``measure`` asks for.

    ``model`` is a module or a factory. ``given`` are the inputs, or ``sized`` what inputs are made of once the model is
    built. ``train`` is the mode, and ``dtype`` that of the weights, where they were asked for; ``mode`` is that in
    which the model runs, once it does. ``built_class`` is the class of the model, ``weight_bytes`` the size of its
    weights, and ``dtype_of_weights`` the dtype in which they compute, once they are known. ``runs_once``: the model or
    its inputs hold what can be read only once, as iterators.
    """

    def __init__(
        self,
        model: Any,
        given: input_tensors.Inputs | None,
        sized: specs.Inputs | None,
        *,
        method: str,
        name: str | None,
        train: bool | None = None,
        dtype: str | None = None,
        backward: bool = False,
        saves: bool = False,
        ranks: int | None = None,
        memory: bool = False,
        optimizer: Callable[[Any], Any] | None = None,
        cache: int | None = None,
        flops_per_mac: int = 2,
    ) -> None:
        self.model = model
        self.inputs = given
        self._sized = sized
        self.only_sizes = sized is not None
        self.method = method
        self.name = name
        self._train = train
        self._dtype = dtype
        self.saves = saves
        self.ranks = ranks
        self.memory = memory
        self.keeps_saved = False
        self.saved_bytes: int | None = None
        self.cache_bytes: int | None = None
        self.optimizer = optimizer
        self._cache = cache
        self.optimizer_bytes: int | None = None
        self.trained: Weights | None = None
        self.safetensors_bytes: int | None = None
        self.mode: Mode | None = None
        self.dtype_of_weights: torch.dtype | None = None
        self.backward = backward
        self.flops_per_mac = flops_per_mac
        self.built_class = None if self.is_factory else inputs.model_class(model)
        self.weight_bytes: int | None = None
        self.runs_once = False

    @property
    def is_factory(self) -> bool:
        """Whether the model has to be built."""
        return not isinstance(self.model, nn.Module)

    def build(self, factory: Any, what: str) -> nn.Module:
        """Return the model that ``factory`` builds."""
        __tracebackhide__ = True
        announce(what)
        self.built_class = None
        with seen_by_function_modes():
            return inputs.check_built(factory(), self.model)

    def cast(self, changes: Changes, built: nn.Module) -> None:
        """Cast the floating-point weights to the dtype that was asked for: the factory's model may be somebody's."""
        if self._dtype is None:
            return
        weights = [*built.parameters()]
        storages = StorageSnapshot()
        changes.undo_by(storages.restore)
        storages.hold([*weights, *(weight.grad for weight in weights if weight.grad is not None)])
        for module in built.modules():
            for table in (own_buffers(module), vars(module)):
                changes.undo_by(partial(_put_back, table, [*table.items()]))
        with seen_by_function_modes():
            built.to(getattr(torch, self._dtype))

    def note_saved(self, built: nn.Module) -> None:
        """Note how large the file of the model would be."""
        self.safetensors_bytes = size_of_file(entries_of_state(built.state_dict()))

    def settle_inputs(self, index: ModuleIndex) -> None:
        """Make the inputs that were given as shapes or specs, for the model that was built and has the method."""
        inputs.method_of(index.nodes[ROOT].module, self.method)
        self.dtype_of_weights = inputs.dtype_of_weights(index)
        if self._sized is not None:
            self.inputs = inputs.with_dtypes(self._sized, index)

    def request(self, built: nn.Module) -> Request:
        """Return what to write into the measurement beside the numbers."""
        self.built_class = inputs.model_class(built)
        name, named = inputs.model_name(self.model, built, self.name)
        given = input_tensors.input_specs(self.inputs)
        if self._cache is not None:
            given += (TensorSpec("cache", (self._cache,), "tokens"),)
        return Request(name, named, given, self.backward, self.flops_per_mac)

    def _set_mode(self, changes: Changes, built: nn.Module, index: ModuleIndex) -> None:
        """Put the model into the mode that was asked for; what is built into eval mode, unless it is trained."""
        __tracebackhide__ = True
        if inputs.mode_of(built) is None:
            if self._train is not None:
                raise TypeError(f"train: {class_name(built)} runs as it was exported, and has no modes")
            return
        trains = self.backward or self.method == "training_step" if self.is_factory else built.training
        trains = trains if self._train is None else self._train
        if built.training != trains:
            scripted = [node.module for node in index.nodes if isinstance(node.module, torch.jit.ScriptModule)]
            for module in scripted:  # the attributes of others are put back as all of them are
                changes.undo_by(partial(setattr, module, "training", module.training))
            self.mode = "train" if trains else "eval"  # which is told where train() itself raises
            try:
                with seen_by_function_modes():
                    built.train(trains)
            except NotImplementedError:
                if self._train is not None:
                    raise
                self.mode = None  # an exported program has no modes
                return
        self.mode = inputs.mode_of(built)  # a model may have a train() of its own

    def of_forward(self) -> Task:
        """Return the task of the forward alone, in the mode of this one."""
        task = copy(self)
        task.backward, task.optimizer = False, None
        task._train = True if self._train is None and self.is_factory else self._train
        return task

    def forward(
        self,
        changes: Changes,
        built: nn.Module,
        positional: Any,
        keyword: Any,
        ledger: Ledger,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        """Run the model or its method, and backward where that is asked for."""
        __tracebackhide__ = True
        parallel = [node.module for node in ledger.index.nodes if isinstance(node.module, _PARALLEL) and not self.ranks]
        for wrapper in parallel:  # whose own forward readies all ranks for a backward pass
            vars(wrapper)["forward"] = wrapper.module  # until the run puts all attributes back
        self._set_mode(changes, built, ledger.index)
        run = inputs.method_of(built, self.method)
        if self._cache is not None:
            keyword = keyword | self._filled_cache(run, positional, keyword, ledger, lifetimes)
        ledger.index.nodes[ROOT].calls += run is not built
        if self.backward:
            ledger.note_module_boundary()
        out = self._call(run, positional, keyword, ledger.index)
        if lifetimes is not None:
            lifetimes.end(input_tensors.tensors_of(out))
        for part in unfinished_parts(out):
            if isinstance(part, Coroutine):
                part.close()  # nobody is going to await it, and Python warns of that
            ledger.charge_unseen(name_of_unfinished(part))
        if not self.backward:
            return
        outputs = [tensor for tensor in input_tensors.tensors_of(out) if tensor.requires_grad]
        outputs = [tensor for tensor in outputs if tensor.is_floating_point() or tensor.is_complex()]
        leaves = leaves_of(outputs)
        if outputs:
            ones = [torch.ones_like(output) for output in outputs]
            with ledger.backward_pass(), changes:
                set_gradients_aside(changes, leaves)
                with seen_by_function_modes():
                    if parallel:  # without the hooks of its weights, which speak to all ranks
                        torch.autograd.grad(outputs, leaves, ones, allow_unused=True)
                    else:
                        torch.autograd.backward(outputs, ones)
                self.trained = _trained(built, leaves)

    def _filled_cache(
        self, run: Any, positional: Any, keyword: Any, ledger: Ledger, lifetimes: Lifetimes | None
    ) -> dict[str, Any]:
        """Return the cache before a decode step; the call that fills it costs nothing."""
        __tracebackhide__ = True
        assert self._cache is not None
        with seen_by_function_modes():
            found = copy_context().run(filled_cache, run, positional, keyword, self._cache)
        ledger.forget()
        if lifetimes is not None:
            lifetimes.begin(input_tensors.tensors_of((positional, keyword, [*found.values()])))
        return found

    def _call(self, run: Any, positional: Any, keyword: Any, index: ModuleIndex) -> Any:
        __tracebackhide__ = True
        saved = SavedTensors(index) if self.keeps_saved else None
        with seen_by_function_modes(), saved or nullcontext():
            out = copy_context().run(run, *positional, **keyword)  # what it sets there is nobody else's
        if saved is not None:
            self.saved_bytes = saved.nbytes()
        if self.memory:
            self.cache_bytes = cache_bytes(run, positional, keyword, out)
        return out


def _trained(built: nn.Module, leaves: Iterable[torch.Tensor]) -> Weights:
    """Return the sizes and dtypes of the weights that got a gradient: on this rank, of sharded ones."""
    reached = {id(leaf) for leaf in leaves}
    weights = [one for one in built.parameters() if id(one) in reached or (one.requires_grad and one.grad is not None)]
    local = [getattr(weight, "to_local", lambda weight=weight: weight)() for weight in weights]
    return [(weight.shape, weight.dtype) for weight in local]


def _put_back(table: Any, items: Iterable[tuple[str, Any]]) -> None:
    for name, value in items:
        table[name] = value
