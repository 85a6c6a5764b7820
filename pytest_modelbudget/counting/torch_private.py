"""The private names of torch that counting uses, bound once for all other modules.

A new release of torch is read here and in the tables of ``torch_names`` alone. Importing this module raises
``ImportError`` for any required name that is missing or behaves otherwise.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from operator import attrgetter, methodcaller
from typing import Any

import torch
from torch import nn
from torch.autograd import forward_ad

from pytest_modelbudget.counting.private_names import check, exists, look_up
from pytest_modelbudget.counting.torch_names import (
    ATTENTION_BACKENDS,
    BELOW_AUTOGRAD,
    COMPILED_CALL,
    REQUIRED,
    SAMPLE,
)

check(REQUIRED)

# -- operators ---------------------------------------------------------------------------------------------------------

OpOverload = torch._ops.OpOverload
schema_of: Callable[[Any], Any] = attrgetter("_schema")
overload_packet_of: Callable[[Any], Any] = attrgetter("_overloadpacket")
_COMPOSITE = "CompositeImplicitAutograd"


def is_composite(func: Any) -> bool:
    """Return whether an operator is implemented by calling other operators."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE)


if exists(f"{SAMPLE}._op_dk"):
    _COMPOSITE_KEY = getattr(torch._C.DispatchKey, _COMPOSITE)

    def decompose(func: Any, args: Any, kwargs: Any) -> Any:
        """Run a composite operator so that a mode sees what it calls."""
        return func._op_dk(_COMPOSITE_KEY, *args, **kwargs)
else:

    def decompose(func: Any, args: Any, kwargs: Any) -> Any:
        """Run a composite operator so that a mode sees what it calls."""
        return func.decompose(*args, **kwargs)


# -- tensors -----------------------------------------------------------------------------------------------------------

DisableTorchDispatch = torch._C._DisableTorchDispatch
address_of_storage: Callable[[torch.Tensor], int] = torch._C._data_address  # type: ignore[attr-defined]
"""The address where the storage of a tensor begins, 0 where it has no memory."""
refuse_access: Callable[[torch.Tensor], None] = torch._C._set_throw_on_mutable_data_ptr
"""Have torch itself refuse whatever hands out or changes the memory of a tensor; that cannot be taken back."""
storage_identity: Callable[[torch.UntypedStorage], int] = attrgetter("_cdata")
storage_of: Callable[[torch.Tensor], torch.UntypedStorage] = torch.Tensor.untyped_storage
data_of: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.data.__get__  # type: ignore[attr-defined]
set_data_of: Callable[[torch.Tensor, torch.Tensor], None] = torch.Tensor.data.__set__  # type: ignore[attr-defined]
keep_version: Any = torch.autograd._unsafe_preserve_version_counter  # type: ignore[attr-defined]
"""Remember how often a tensor was changed in place; its ``__exit__`` puts that back."""
dlpack_functions = [
    (owner, name)
    for owner, name in (
        (torch, "to_dlpack"),
        (torch.utils.dlpack, "to_dlpack"),
        (torch._C, "_to_dlpack"),
        (torch._C, "_to_dlpack_versioned"),
    )
    if hasattr(owner, name)
]
sharing_methods = [
    (torch.UntypedStorage, name)
    for name in ("_share_fd_cpu_", "_share_filename_cpu_")
    if hasattr(torch.UntypedStorage, name)
]
swapping_functions = [(torch._C, "_swap_tensor_impl")] if hasattr(torch._C, "_swap_tensor_impl") else []
mkldnn_layout: torch.layout = torch._mkldnn  # type: ignore[attr-defined]
negated_view: Callable[[torch.Tensor], torch.Tensor] = torch._neg_view
class_of_script_object: Callable[[Any], Any] = methodcaller("_type")
coo_indices: Callable[[torch.Tensor], torch.Tensor] = methodcaller("_indices")
coo_values: Callable[[torch.Tensor], torch.Tensor] = methodcaller("_values")
nested_sizes: Callable[[torch.Tensor], torch.Tensor] = methodcaller("_nested_tensor_size")
tree_map = look_up("torch.utils._pytree.tree_map")
tree_flatten_with_path = look_up("torch.utils._pytree.tree_flatten_with_path")
keystr = look_up("torch.utils._pytree.keystr")


_KEYS_OF_MODES_WITHOUT_DATA = (torch._C._TorchDispatchModeKey.FAKE, torch._C._TorchDispatchModeKey.FUNCTIONAL)


def fake_tensor_mode() -> AbstractContextManager[Any]:
    """Return a mode whose operators know the shapes of more operators than meta kernels do."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode(allow_non_fake_inputs=False)


def is_fake_tensor_type(kind: type) -> bool:
    """Return whether tensors of a type belong to a fake tensor mode, which answers operators after every other mode."""
    loaded = sys.modules.get("torch._subclasses.fake_tensor")
    return loaded is not None and kind is loaded.FakeTensor


def modes_without_data() -> list[Any]:
    """Return the modes that are active and whose tensors hold no data of their own: fake and functional ones.

    They answer after all other modes, as does one that traces, but on real tensors that one computes.
    """
    # Plainly written: the compiler traces through it where torch.cond is called under one of our modes.
    modes = [torch._C._get_dispatch_mode(key) for key in _KEYS_OF_MODES_WITHOUT_DATA]
    return [mode for mode in modes if mode is not None]


def flash_attention_for_cpu(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Run fused attention on the CPU; there is no such operator where there is none to be called."""
    out: torch.Tensor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value)[0]
    return out


# -- process groups ----------------------------------------------------------------------------------------------------

_FAKE_STORE = "torch.testing._internal.distributed.fake_pg.FakeStore"
_WORK_OF_FUTURE = "torch._C._distributed_c10d._create_work_from_future"


COLLECTIVES = frozenset(("c10d", "_c10d_functional", "_c10d_functional_autograd", "_dtensor"))
"""The namespaces of collectives."""


def is_wrapped_by_autograd(func: Any) -> bool:
    """Return whether an operator is a collective that calls the collective itself, with a backward."""
    return bool(func.namespace == "_c10d_functional_autograd")


def collective_itself(func: Any) -> Any:
    """Return what a collective with a backward calls."""
    return getattr(torch.ops._c10d_functional, overload_packet_of(func).__name__)


def new_fake_store() -> Any:
    """Return a store for a process group without other ranks; importing it registers the backend ``fake``."""
    return look_up(_FAKE_STORE)()


def completed_work(tensors: list[torch.Tensor]) -> Any:
    """Return the handle of a collective that is done with ``tensors``, as its operator returns it."""
    future: torch.futures.Future[list[torch.Tensor]] = torch.futures.Future()
    future.set_result(tensors)
    return look_up(_WORK_OF_FUTURE)(future).boxed()


# -- dispatch modes and autograd ---------------------------------------------------------------------------------------

_MODES = "torch.utils._python_dispatch"
disable_current_modes: Callable[[], AbstractContextManager[Any]] = look_up(f"{_MODES}._disable_current_modes")
current_dispatch_modes: Callable[[], list[Any]] = look_up(f"{_MODES}._get_current_dispatch_mode_stack")
dispatch_mode_stack_length: Callable[[], int] = torch._C._len_torch_dispatch_stack
tracing_state: Callable[[], Any] = getattr(
    torch._C, "_get_tracing_state", lambda: look_up("torch.jit.is_tracing")() or None
)
set_tracing_state: Callable[[Any], None] = getattr(torch._C, "_set_tracing_state", lambda _: None)
autograd_sequence_number: Callable[[], int] = torch._C._autograd._get_sequence_nr
current_autograd_node: Callable[[], Any] = torch._C._current_autograd_node
graph_task_id: Callable[[], int] = torch._C._current_graph_task_id
sequence_number_of: Callable[[Any], int] = methodcaller("_sequence_nr")


DisableTorchFunction: Any = torch._C.DisableTorchFunction
sees_torch_functions: Callable[[], bool] = torch._C._is_torch_function_mode_enabled
"""Whether a function mode is active: a default device, a device context, or one of the user's or the model's own."""


def unseen_by_function_modes() -> AbstractContextManager[Any]:
    """Hide what is called inside from function modes: it is the run's own, not the model's."""
    return DisableTorchFunction() if sees_torch_functions() else nullcontext()


def seen_by_function_modes() -> AbstractContextManager[Any]:
    """Let function modes see what the model does, within what they do not see."""
    return torch._C._EnableTorchFunction()


def _tables_of_modes() -> Iterator[tuple[Any, dict[Any, Any]]]:
    """Yield the higher-order operators that run only under modes that stand in their table, as until torch 2.6."""
    if not hasattr(any_dispatch_mode, "supports_higher_order_operators"):
        for operator in torch._ops._higher_order_ops.values():
            known: dict[str, Any] = vars(operator)
            yield operator, known.get("python_key_mode_table", known.get("python_key_table", {}))


def _dispatch_to(operator: Any, mode: Any, *args: Any, **kwargs: Any) -> Any:
    return mode.__torch_dispatch__(operator, (), args, kwargs)


any_dispatch_mode: Any = torch.utils._python_dispatch.TorchDispatchMode


class DispatchMode(torch.utils._python_dispatch.TorchDispatchMode):
    """A dispatch mode that is given higher-order operators too, and that torch does not wrap."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        for operator, table in _tables_of_modes():
            table.setdefault(type(self), partial(_dispatch_to, operator))

    def leave(self) -> None:
        """Leave the mode, however often it was entered, and those that were entered in it."""
        while self in current_dispatch_modes():
            current_dispatch_modes()[-1].__exit__(None, None, None)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the wrapper that torch puts around the mode otherwise costs more than the mode


CAN_RUN_BELOW_AUTOGRAD = all(map(exists, BELOW_AUTOGRAD))
"""Whether the installed torch has all that running below autograd needs; otherwise none of these names is used."""

AutoDispatchBelowAutograd: Any = getattr(torch._C, "_AutoDispatchBelowAutograd", None)
ForceDispatchKeyGuard: Any = getattr(torch._C, "_ForceDispatchKeyGuard", None)
is_any_autocast_enabled: Any = getattr(torch._C, "_is_any_autocast_enabled", None)


def local_dispatch_keys() -> tuple[Any, Any]:
    """Return the dispatch keys that are included and excluded in this thread."""
    return torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()


def records_gradients() -> bool:
    """Return whether gradients or tangents are recorded now."""
    return torch.is_grad_enabled() or forward_ad._current_level >= 0


# -- modules and backends ----------------------------------------------------------------------------------------------

plain_call_of: Callable[[nn.Module], Callable[..., Any]] = attrgetter("_call_impl")
submodules: Callable[[nn.Module], dict[str, nn.Module | None]] = attrgetter("_modules")
own_parameters: Callable[[nn.Module], dict[str, Any]] = attrgetter("_parameters")
own_buffers: Callable[[nn.Module], dict[str, Any]] = attrgetter("_buffers")
held_by: Callable[[nn.Module], tuple[dict[str, Any], ...]] = attrgetter("_modules", "_parameters", "_buffers")
forward_hooks_of: Callable[[nn.Module], tuple[dict[int, Any], ...]] = attrgetter("_forward_hooks", "_forward_pre_hooks")
gradient_hooks_of: Callable[[torch.Tensor], tuple[Any, ...]] = attrgetter(
    "_backward_hooks", "_post_accumulate_grad_hooks"
)
_global_hooks = [hooks for name, hooks in vars(nn.modules.module).items() if re.match("_global.*hooks", name)]

registration_hooks: dict[str, dict[int, Any]] = {
    f"_{kind}s": look_up(f"torch.nn.modules.module._global_{kind}_registration_hooks")
    for kind in ("module", "parameter", "buffer")
}
"""The hooks that are called for what is registered in any module, by the table of the module that it goes into."""


def hooks_around(weights: Iterable[torch.Tensor], backward: bool) -> list[Any]:
    """Return the hooks of all modules, and those of the gradients of weights where there are any."""
    of_weights = (hooks for weight in (weights if backward else ()) for hooks in gradient_hooks_of(weight))
    return [*_global_hooks, *filter(None, of_weights)]


attention_backends_enabled: list[Callable[[], bool]] = [look_up(path) for path in ATTENTION_BACKENDS if exists(path)]
mkldnn_enabled, set_mkldnn_enabled = torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled
cudnn_enabled, set_cudnn_enabled = torch._C._get_cudnn_enabled, torch._C._set_cudnn_enabled


def compiled_original(model: nn.Module) -> Any:
    """Return the module that a compiled module wraps, or None."""
    children = vars(model).get("_modules", {})  # its own __getattr__ may raise anything
    return children["_orig_mod"] if "_orig_mod" in children else None  # noqa: SIM401  # TorchScript's has no get()


def compiler_is_loaded() -> bool:
    """Return whether this process has imported the machinery of ``torch.compile``, which takes a second."""
    return "torch._dynamo" in sys.modules


HAS_STANCE = hasattr(torch.compiler, "set_stance")
"""Whether compiled code can be told to run eagerly; before torch 2.6, ``torch.export`` has to be told too."""


def eager_stance() -> AbstractContextManager[Any]:
    """Let compiled code run as it was written."""
    return torch.compiler.set_stance("force_eager") if HAS_STANCE else _as_in_a_trace()


_before_traces: list[tuple[bool, bool, Any]] = []


@contextmanager
def _as_in_a_trace() -> Iterator[None]:
    """Let compiled code run as it was written before torch 2.6: as within a trace, where that is no error.

    Of several that overlap, as those of threads do, the last to end puts back what the first has found.
    """
    tracing: Any = torch.fx._symbolic_trace
    config, compiler = look_up("torch._dynamo.config"), look_up("torch._dynamo.eval_frame")
    before = tracing._is_fx_tracing_flag, config.error_on_nested_fx_trace, compiler.optimize_assert
    _before_traces.append(before)
    tracing._is_fx_tracing_flag, config.error_on_nested_fx_trace = True, False
    compiler.optimize_assert = partial(_optimize_assert, _before_traces[0])
    try:
        yield
    finally:
        before = _before_traces.pop()
        if not _before_traces:
            tracing._is_fx_tracing_flag, config.error_on_nested_fx_trace, compiler.optimize_assert = before


def _optimize_assert(before: tuple[bool, bool, Any], *args: Any, export: bool = False, **kwargs: Any) -> Any:
    """Have ``torch.export`` trace as if this were no trace, and as if nobody followed the calls of modules."""
    context = before[2](*args, export=export, **kwargs)
    return (lambda function: _outside_the_trace(before[0], context(function))) if export else context


def _outside_the_trace(flag: bool, function: Callable[..., Any]) -> Callable[..., Any]:
    tracing: Any = torch.fx._symbolic_trace

    def run(*args: Any, **kwargs: Any) -> Any:
        inside = tracing._is_fx_tracing_flag, vars(nn.Module)[COMPILED_CALL]
        tracing._is_fx_tracing_flag, nn.Module._compiled_call_impl = flag, None
        try:
            return function(*args, **kwargs)
        finally:
            tracing._is_fx_tracing_flag, nn.Module._compiled_call_impl = inside

    return run


def backend_flags() -> tuple[Any, ...]:
    """Return the flags of the process that kernels read: which backends may run, and whether deterministically."""
    return (
        mkldnn_enabled(),
        cudnn_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        *[is_enabled() for is_enabled in attention_backends_enabled],
    )
