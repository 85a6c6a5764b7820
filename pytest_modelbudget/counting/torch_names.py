"""Every private name of torch that counting uses: whether it is there, what replaces it, and what breaks without it.

``REQUIRED`` names have no replacement, ``OPTIONAL`` names have one, which counts the same.
"""

from __future__ import annotations

from operator import methodcaller

import torch
from torch import nn

from pytest_modelbudget.counting.private_names import PrivateName, each


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

SAMPLE = "torch.ops.aten.add.Tensor"
_MODE = "torch.utils._python_dispatch.TorchDispatchMode"

REQUIRED = (
    PrivateName("torch._ops.OpOverload", "operators and higher-order operators cannot be distinguished"),
    PrivateName(f"{SAMPLE}._schema", "an operator's name and mutable arguments are not known"),
    PrivateName(f"{SAMPLE}._overloadpacket", "formulas registered with torch are not found"),
    PrivateName("torch._C._dispatch_has_kernel_for_dispatch_key", "what composite operators call is not counted"),
    PrivateName("torch._C._data_address", "tensors without values are not told from others"),
    PrivateName("torch._C._set_throw_on_mutable_data_ptr", "memory that has no values is read"),
    PrivateName("torch._C._DisableTorchDispatch", "what guards data runs into the mode itself"),
    PrivateName("torch.autograd._unsafe_preserve_version_counter", "a graph whose buffers were restored is refused"),
    PrivateName("torch.UntypedStorage._cdata", "two tensors that share their storage are not recognised"),
    *each(
        "a default device, or any other function mode, takes the run's own reads for the model's",
        "torch._C.DisableTorchFunction",
        "torch._C._EnableTorchFunction",
        "torch._C._is_torch_function_mode_enabled",
    ),
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
    PrivateName(
        "torch.utils._python_dispatch._get_current_dispatch_mode_stack",
        "measure() in a thread that a measured model waits for hangs",
    ),
    *each(
        "what others trace on fake tensors is counted as if it computed something",
        "torch._C._TorchDispatchModeKey",
        "torch._C._get_dispatch_mode",
        "torch._C._len_torch_dispatch_stack",
    ),
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
    *each(
        "what a factory registers in modules that existed before is not taken back",
        *(f"torch.nn.modules.module._global_{kind}_registration_hooks" for kind in ("module", "parameter", "buffer")),
    ),
    PrivateName("torch._C._current_graph_task_id", "a forward that runs again in the backward looks like a model"),
    PrivateName("torch._mkldnn", "MKL-DNN tensors are mistaken for sparse ones"),
    PrivateName("torch._neg_view", "tensors whose values are still to be negated are mistaken for others"),
    PrivateName("torch.ScriptObject._type", "packed weights that do not open have no name"),
    *each("the stored elements of sparse tensors are not counted", "torch.Tensor._indices", "torch.Tensor._values"),
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
    PrivateName(f"{SAMPLE}._op_dk", "composite operators are decomposed more slowly", "OpOverload.decompose"),
    PrivateName("torch._C._get_tracing_state", "a trace is noticed more slowly", "torch.jit.is_tracing"),
    PrivateName("torch._C._set_tracing_state", "sizes are tensors while a model is traced", "their values"),
    PrivateName(f"{_MODE}._should_skip_dynamo", "torch may wrap every mode", "slower modes"),
    *each(
        "stale data read through dlpack is noticed only where it is asked of the tensor",
        "torch._C._to_dlpack",
        "torch._C._to_dlpack_versioned",
        instead="Tensor.__dlpack__",
    ),
    PrivateName(
        "torch._C._swap_tensor_impl",
        "weights that a forward swaps keep the shapes they had",
        "nothing: none can be swapped",
    ),
    *each(
        "there is no rank without the others",
        "torch._C._distributed_c10d._create_work_from_future",
        "torch.ops._c10d_functional",
        "torch.testing._internal.distributed.fake_pg.FakeStore",
        instead="an error where ranks are asked for",
    ),
    PrivateName("torch._subclasses.fake_tensor", "operators without a meta kernel have no shapes", "a real run"),
    PrivateName("torch._dynamo", "compiled modules cannot exist", "nothing is switched to eager"),
    PrivateName(
        "torch.fx._symbolic_trace._is_fx_tracing_flag",
        "before torch 2.6, compiled modules are compiled under the mode that counts",
        "torch.compiler.set_stance",
    ),
    PrivateName("torch._dynamo.OptimizedModule._orig_mod", "compiled models have no name of their own", "their class"),
    PrivateName(
        "torch.ops.aten._scaled_dot_product_flash_attention_for_cpu",
        "fused attention on the CPU has no shape rule",
        "its meta kernel",
    ),
)
"""Names with a replacement. Those of ``torch._subclasses`` and ``torch._dynamo`` are slow to import: they are looked up
where they are needed."""
