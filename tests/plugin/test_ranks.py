"""One rank of several under a budget: in the table, the fixture, the command and the baseline."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_modelbudget.cli.main import main

from .conftest import PLAIN_AND_N2, Run

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.distributed's own
SHARDED = """
    import warnings
    warnings.simplefilter("ignore")
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    class MLP(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        def forward(self, x): return self.down(self.up(x))

    def mlp(device="cuda"):
        return parallelize_module(
            MLP(), init_device_mesh(device, (2,)), {"up": ColwiseParallel(), "down": RowwiseParallel()}
        )
"""
TABLE = """
    [tool.modelbudget.models.mlp]
    factory = "sharded:mlp"
    arguments = { device = "cpu" }
    ranks = 2
    inputs = "4x8"
"""


@PLAIN_AND_N2
def test_a_declared_model_is_rank_0(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    # 4 rows x 8 wide x 4 bytes are summed over both ranks
    (pytester.path / "pytest.ini").unlink()
    result = run(*mode, "--modelbudget-report=markdown", sharded=SHARDED, pyproject=f"{TABLE}    comm_bytes = 127\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *BudgetExceeded: mlp (rank 0 of 2): comm_bytes 128 B > 127 B (+0.79%)",
            "E *collectives:",
            "E *all_reduce  down  128 B",
            "E *counted: 1 MAC = 2 FLOPs; args[[]0[]] 4x8 float32; rank 0 of 2; real run, eval",
            "mlp (rank 0 of 2)  144 *512 *OVER comm bytes 0.79%",
        ]
    )
    assert "4x8, rank 0 of 2" in (pytester.path / "modelbudget.md").read_text()


def test_what_is_transferred_is_in_the_baseline(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "pytest.ini").unlink()
    run("--modelbudget-update", sharded=SHARDED, pyproject=TABLE)
    locked = json.loads((pytester.path / "modelbudget.lock.json").read_text())["models"]["mlp"][0]
    assert locked["metrics"] == {"params": 144, "macs": 512, "comm_bytes": 128}
    assert run().ret == 0
    lock = (pytester.path / "modelbudget.lock.json").read_text()
    (pytester.path / "modelbudget.lock.json").write_text(lock.replace('"comm_bytes": 128', '"comm_bytes": 120'))
    run().stdout.fnmatch_lines(["mlp (rank 0 of 2) *GREW comm bytes 6.7%"])


def test_the_fixture_and_a_default_that_does_not_apply(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "pytest.ini").unlink()
    result = run(
        sharded=SHARDED,
        pyproject="[tool.modelbudget.default]\ncomm_bytes = 1\nparams = '1M'\n",
        test_it="""
            from sharded import mlp
            def test_rank(model_budget):
                found = model_budget(lambda: mlp("cpu"), inputs=(4, 8), ranks=2, name="mlp", comm_bytes=128)
                assert (found.ranks, found.params) == (2, 144)
            def test_plain(model_budget):
                assert model_budget(net, X).comm_bytes is None
        """,
    )
    result.assert_outcomes(passed=2)


def test_a_limit_that_nothing_can_hold(run: Run) -> None:
    result = run(test_it="def test_it(model_budget): model_budget(net, X, comm_bytes=1)")
    result.stdout.fnmatch_lines(["*was not measured; the model is no rank of several: give ranks, and inputs"])


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sharded_mlp.py").write_text(f"from torch import nn\n{dedent(SHARDED)}")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["measure", "sharded_mlp:mlp", "--arguments", "device=cpu", "--ranks=2", "--inputs=4x8"]) == 0
    said = capsys.readouterr().out
    assert "comm_bytes 128 B" in said
    assert "ranks = 2" in said
