"""Every private name of torch that counting uses: whether it is there, what replaces it, and what breaks without it.

A new release of torch is read in this file alone. ``REQUIRED`` names have no replacement: importing this module raises
``ImportError`` for any that is missing or behaves otherwise. ``OPTIONAL`` names have one, which counts the same. Below
the tables are the names themselves, bound once, for all other modules.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from operator import attrgetter, methodcaller
from typing import Any

import torch
from torch import nn
from torch.autograd import forward_ad

from pytest_modelbudget.counting.private_names import PrivateName, check, each, exists, look_up


def _module_calls_can_be_followed() -> bool:
    followed = type("Followed", (nn.Module,), {COMPILED_CALL: property(lambda _: lambda: "followed")})
    return bool(followed()() == "followed")


def _modules_hold_their_parts_by_name() -> bool:
    return {"_modules", "_parameters", "_buffers"} <= vars(nn.Module()).keys()


def _autograd_node_has_a_sequence_number() -> bool:
    with torch.enable_grad(), torch.inference_mode(False):
        node = torch.ones((), requires_grad=True).clone().grad_fn
    return isinstance(methodcaller("_sequence_nr")(node), int)


COMPILED_CALL = "_compiled_call_impl"
"""The attribute that every module call reads, and calls if it is there."""

_SAMPLE = "torch.ops.aten.add.Tensor"
_MODE = "torch.utils._python_dispatch.TorchDispatchMode"

REQUIRED = (
    PrivateName("torch._ops.OpOverload", "operators and higher-order operators cannot be distinguished"),
    PrivateName(f"{_SAMPLE}._schema", "an operator's name and mutable arguments are not known"),
    PrivateName(f"{_SAMPLE}._overloadpacket", "formulas registered with torch are not found"),
    PrivateName("torch._C._dispatch_has_kernel_for_dispatch_key", "what composite operators call is not counted"),
    PrivateName("torch._C._disabled_torch_function_impl", "torch converts every result of a shape tensor"),
    PrivateName("torch._C._DisableTorchDispatch", "in-place changes of a shape tensor's metadata are lost"),
    PrivateName("torch.Tensor._make_wrapper_subclass", "there are no tensors that have a shape and no data"),
    PrivateName("torch.UntypedStorage._cdata", "two tensors that share their storage are not recognised"),
    PrivateName("torch.ops.aten._local_scalar_dense", "a shape run does not notice that values were asked for"),
    PrivateName("torch._C._autograd._get_sequence_nr", "the cost of a backward is not known module by module"),
    PrivateName(
        "torch._C._current_autograd_node",
        "the cost of a backward is not known module by module",
        behaves=_autograd_node_has_a_sequence_number,
    ),
    PrivateName(
        "torch.nn.Module._compiled_call_impl",
        "module calls are not seen, and every cost is the model's own",
        behaves=_module_calls_can_be_followed,
    ),
    PrivateName(
        "torch.nn.Module",
        "submodules, parameters and buffers are not found (_modules, _parameters, _buffers)",
        behaves=_modules_hold_their_parts_by_name,
    ),
    PrivateName("torch.nn.Module._call_impl", "modules whose calls are followed cannot be run"),
    PrivateName("torch.utils._python_dispatch.TorchDispatchMode", "no operator is seen at all"),
    PrivateName("torch.utils._python_dispatch._disable_current_modes", "a mode around measure() changes its count"),
    PrivateName("torch.utils._pytree.tree_map", "tensors inside lists, dicts and named tuples are not found"),
    PrivateName("torch.utils._pytree.tree_flatten_with_path", "inputs inside lists and dicts are not named"),
    PrivateName("torch.utils._pytree.keystr", "inputs inside lists and dicts are not named"),
    *each(
        "training costs include gradients that nobody asked for",
        "torch._C._get_mkldnn_enabled",
        "torch._C._set_mkldnn_enabled",
        "torch._C._get_cudnn_enabled",
        "torch._C._set_cudnn_enabled",
    ),
    PrivateName("torch._C._current_graph_task_id", "a forward that runs again in the backward looks like a model"),
    PrivateName("torch._mkldnn", "MKL-DNN tensors are mistaken for sparse ones"),
    PrivateName("torch._neg_view", "tensors whose values are still to be negated are mistaken for others"),
    PrivateName("torch.Tensor._values", "the stored elements of sparse tensors are not counted"),
    PrivateName("torch.Tensor._nested_tensor_size", "fused attention on nested tensors is not counted"),
)
"""Names without which counting is wrong or impossible."""

BELOW_AUTOGRAD = (
    "torch._C._AutoDispatchBelowAutograd",
    "torch._C._ForceDispatchKeyGuard",
    "torch._C._dispatch_tls_local_exclude_set",
    "torch._C._dispatch_tls_local_include_set",
    "torch._C._is_any_autocast_enabled",
    "torch.autograd.forward_ad._current_level",
)
ATTENTION_BACKENDS = (
    "torch._C._get_cudnn_sdp_enabled",
    "torch._C._get_flash_sdp_enabled",
    "torch._C._get_math_sdp_enabled",
    "torch._C._get_mem_efficient_sdp_enabled",
    "torch._C._get_overrideable_sdp_enabled",
)
OPTIONAL = (
    *each("composite operators are not remembered as one", *BELOW_AUTOGRAD, instead="slower runs, with autograd"),
    *each("this attention backend cannot be switched off", *ATTENTION_BACKENDS, instead="the other backends decide"),
    PrivateName(f"{_SAMPLE}._op_dk", "composite operators are decomposed more slowly", "OpOverload.decompose"),
    PrivateName("torch._C._len_torch_dispatch_stack", "other modes are not noticed", "modes are always switched off"),
    PrivateName("torch._C._get_tracing_state", "a trace is noticed more slowly", "torch.jit.is_tracing"),
    PrivateName("torch._C._set_tracing_state", "sizes are tensors while a model is traced", "their values"),
    PrivateName(f"{_MODE}._should_skip_dynamo", "torch may wrap every mode", "slower modes"),
    *each(
        "stale data read through dlpack is noticed only where it is asked of the tensor",
        "torch._C._to_dlpack",
        "torch._C._to_dlpack_versioned",
        instead="Tensor.__dlpack__",
    ),
    PrivateName("torch._subclasses.fake_tensor", "operators without a meta kernel have no shapes", "a real run"),
    PrivateName("torch._dynamo", "compiled modules cannot exist", "nothing is switched to eager"),
    PrivateName("torch._dynamo.OptimizedModule._orig_mod", "compiled models have no name of their own", "their class"),
    PrivateName(
        "torch.ops.aten._scaled_dot_product_flash_attention_for_cpu",
        "fused attention on the CPU has no shape rule",
        "its meta kernel",
    ),
)
"""Names with a replacement. Those of ``torch._subclasses`` and ``torch._dynamo`` are slow to import: they are looked up
where they are needed."""

check(REQUIRED)

# -- operators ---------------------------------------------------------------------------------------------------------

OpOverload = torch._ops.OpOverload
schema_of: Callable[[Any], Any] = attrgetter("_schema")
overload_packet_of: Callable[[Any], Any] = attrgetter("_overloadpacket")
local_scalar_dense = torch.ops.aten._local_scalar_dense
_COMPOSITE = "CompositeImplicitAutograd"


def is_composite(func: Any) -> bool:
    """Return whether an operator is implemented by calling other operators."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE)


if exists(f"{_SAMPLE}._op_dk"):
    _COMPOSITE_KEY = getattr(torch._C.DispatchKey, _COMPOSITE)

    def decompose(func: Any, args: Any, kwargs: Any) -> Any:
        """Run a composite operator so that a mode sees what it calls."""
        return func._op_dk(_COMPOSITE_KEY, *args, **kwargs)
else:

    def decompose(func: Any, args: Any, kwargs: Any) -> Any:
        """Run a composite operator so that a mode sees what it calls."""
        return func.decompose(*args, **kwargs)


# -- tensors -----------------------------------------------------------------------------------------------------------

disabled_torch_function: Any = torch._C._disabled_torch_function_impl
DisableTorchDispatch = torch._C._DisableTorchDispatch
make_wrapper_subclass: Any = torch.Tensor._make_wrapper_subclass
storage_identity: Callable[[torch.UntypedStorage], int] = attrgetter("_cdata")
storage_of: Callable[[torch.Tensor], torch.UntypedStorage] = torch.Tensor.untyped_storage
data_of: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.data.__get__  # type: ignore[attr-defined]
set_data_of: Callable[[torch.Tensor, torch.Tensor], None] = torch.Tensor.data.__set__  # type: ignore[attr-defined]
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
mkldnn_layout: torch.layout = torch._mkldnn  # type: ignore[attr-defined]
negated_view: Callable[[torch.Tensor], torch.Tensor] = torch._neg_view
coo_values: Callable[[torch.Tensor], torch.Tensor] = methodcaller("_values")
nested_sizes: Callable[[torch.Tensor], torch.Tensor] = methodcaller("_nested_tensor_size")
tree_map = look_up("torch.utils._pytree.tree_map")
tree_flatten_with_path = look_up("torch.utils._pytree.tree_flatten_with_path")
keystr = look_up("torch.utils._pytree.keystr")


def fake_tensor_mode() -> AbstractContextManager[Any]:
    """Return a mode whose operators know the shapes of more operators than meta kernels do."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode(allow_non_fake_inputs=False)


def is_fake_tensor_type(kind: type) -> bool:
    """Return whether tensors of a type belong to a fake tensor mode, which answers operators after every other mode."""
    loaded = sys.modules.get("torch._subclasses.fake_tensor")
    return loaded is not None and kind is loaded.FakeTensor


def flash_attention_for_cpu(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Run fused attention on the CPU; there is no such operator where there is none to be called."""
    out: torch.Tensor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value)[0]
    return out


# -- dispatch modes and autograd ---------------------------------------------------------------------------------------

_MODES = "torch.utils._python_dispatch"
disable_current_modes: Callable[[], AbstractContextManager[Any]] = look_up(f"{_MODES}._disable_current_modes")
dispatch_mode_stack_length: Callable[[], int] = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 1)
tracing_state: Callable[[], Any] = getattr(
    torch._C, "_get_tracing_state", lambda: look_up("torch.jit.is_tracing")() or None
)
set_tracing_state: Callable[[Any], None] = getattr(torch._C, "_set_tracing_state", lambda _: None)
autograd_sequence_number: Callable[[], int] = torch._C._autograd._get_sequence_nr
current_autograd_node: Callable[[], Any] = torch._C._current_autograd_node
graph_task_id: Callable[[], int] = torch._C._current_graph_task_id
sequence_number_of: Callable[[Any], int] = methodcaller("_sequence_nr")


any_dispatch_mode: type = torch.utils._python_dispatch.TorchDispatchMode


class DispatchMode(torch.utils._python_dispatch.TorchDispatchMode):
    """A dispatch mode that is given higher-order operators too, and that torch does not wrap."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

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
forward_hooks_of: Callable[[nn.Module], tuple[dict[int, Any], ...]] = attrgetter("_forward_hooks", "_forward_pre_hooks")
gradient_hooks_of: Callable[[torch.Tensor], tuple[Any, ...]] = attrgetter(
    "_backward_hooks", "_post_accumulate_grad_hooks"
)
_global_hooks = [hooks for name, hooks in vars(nn.modules.module).items() if re.match("_global.*hooks", name)]


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


def backend_flags() -> tuple[Any, ...]:
    """Return the flags of the process that kernels read: which backends may run, and whether deterministically."""
    return (
        mkldnn_enabled(),
        cudnn_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        *[is_enabled() for is_enabled in attention_backends_enabled],
    )
