"""What torch is set to for the whole process is put back, in whichever way it was set."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pytest_modelbudget.counting.restoring.settings import put_settings_back, read_settings

from .shape_run.model import Model
from .test_restored_objects import measured_in_every_way


def change_settings() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_num_threads(3 - torch.get_num_threads() % 2)
    torch.autograd.set_detect_anomaly(not torch.is_anomaly_enabled(), check_nan=False)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.backends.cuda.enable_flash_sdp(not torch.backends.cuda.flash_sdp_enabled())
    torch.backends.mkldnn.set_flags(not torch.backends.mkldnn.enabled)


def change_what_is_checked() -> None:
    torch.set_warn_always(not torch.is_warn_always_enabled())
    checks = torch.sparse.check_sparse_tensor_invariants
    (checks.disable if checks.is_enabled() else checks.enable)()  # type: ignore[no-untyped-call]
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch.__future__.set_swap_module_params_on_conversion(True)


def change_precision() -> None:
    torch.set_float32_matmul_precision("medium")


def change_precision_of_a_backend() -> None:
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    torch.backends.cuda.matmul.fp32_precision = "tf32"


needs_precisions = pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="came with torch 2.9")
CHANGES = [
    change_settings,
    change_what_is_checked,
    change_precision,
    pytest.param(change_precision_of_a_backend, marks=needs_precisions),
]


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("change", CHANGES)
def test_what_torch_is_set_to(change: Callable[[], None]) -> None:
    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        change()
        return self.linear(x)

    before = read_settings()
    measured_in_every_way(Model(forward))
    assert read_settings() == before


@needs_precisions
def test_precision_that_was_set_backend_by_backend() -> None:
    # torch.get_float32_matmul_precision() raises then.
    before = read_settings()
    change_precision_of_a_backend()
    try:
        mixed = read_settings()
        measured_in_every_way(Model(lambda self, x: self.linear(x)))
        assert read_settings() == mixed
    finally:
        put_settings_back(before)
