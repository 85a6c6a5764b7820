"""The life of a baseline: new, locked, grown, accepted, shrunk, ratcheted, renamed, other inputs, pruned."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import N0, PLAIN, PLAIN_AND_N2, Run, with_workers

NET = 'def test_net(model_budget): model_budget(Net({width}), torch.zeros({rows}, 100), name="{name}")\n'
LOCK = "modelbudget.lock.json"


def net(width: int = 200, rows: int = 1, name: str = "net") -> str:
    return NET.format(width=width, rows=rows, name=name)


def locked(folder: Path) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads((folder / LOCK).read_text())["models"]
    return found


@pytest.mark.parametrize("mode", [PLAIN, N0])
def test_a_life(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    folder = pytester.path
    new = run(*mode, test_net=net())
    assert new.ret == pytest.ExitCode.OK
    assert not (folder / LOCK).exists()

    first = run(*mode, "--modelbudget-update")
    first.stdout.fnmatch_lines([f"{LOCK}: 1 added; 1 entry", f"Commit it: git add {LOCK}"])
    assert locked(folder)["net"][0]["metrics"] == {"params": 22210, "macs": 22000}
    same = run(*mode)
    assert same.ret == pytest.ExitCode.OK
    same.stdout.fnmatch_lines(["net    22.21 K  22.00 K  ok", "1 model within budget*"])

    grown = run(*mode, "--junitxml=junit.xml", test_net=net(220))
    assert grown.ret == pytest.ExitCode.TESTS_FAILED
    grown.stdout.fnmatch_lines(
        [
            "E *BudgetExceeded: net: macs 24.20 K > 22.00 K before (+10.0%), 1 more",
            "E *MACs *24.20 K *22.00 K (+10.0%)",
            "E *limit: growth 0%",
            "E * since the baseline: first Linear (+2020 params, +2000 MACs)",
            "E * since the baseline: last Linear (+200 params, +200 MACs)",
            "E * accept the growth: pytest --modelbudget-update",
            "net *24.43 K *24.20 K *GREW MACs 10.0%, params 10.0%",
            "1 model above the baseline*",
        ]
    )
    assert "net: macs 24.20 K" in (folder / "junit.xml").read_text().replace("&gt;", ">")

    accepted = run(*mode, "--modelbudget-update")
    assert accepted.ret == pytest.ExitCode.OK
    accepted.stdout.fnmatch_lines([f"{LOCK}: 1 changed; 1 entry", "Commit it: *"])
    assert run(*mode).ret == pytest.ExitCode.OK

    shrunk = run(*mode, test_net=net(180))
    assert shrunk.ret == pytest.ExitCode.OK
    shrunk.stdout.fnmatch_lines(["net *ok, MACs -18.2%, params -18.2%", "Less than before: net. Keep it:*"])
    before = (folder / LOCK).read_bytes()
    run(*mode, "--modelbudget-update=lower", test_net=net(230))
    assert (folder / LOCK).read_bytes() == before
    ratcheted = run(*mode, "--modelbudget-update=lower", test_net=net(180))
    assert ratcheted.ret == pytest.ExitCode.OK
    assert locked(folder)["net"][0]["metrics"]["macs"] == 19800  # type: ignore[index]
    assert run(*mode, test_net=net(200)).ret == pytest.ExitCode.TESTS_FAILED

    renamed = run(*mode, test_net=net(180, name="backbone"))
    assert renamed.ret == pytest.ExitCode.TESTS_FAILED
    renamed.stdout.fnmatch_lines(
        ["*no test measured net (args[[]0[]] 1x100 float32), which modelbudget.lock.json holds: it was renamed*"]
    )
    renamed.stdout.fnmatch_lines(["backbone *new", "Not in the baseline: backbone.*"])

    other = run(*mode, test_net=net(180, rows=2))
    assert other.ret == pytest.ExitCode.TESTS_FAILED
    other.stdout.fnmatch_lines(["*it was measured with other inputs, which are no growth but another entry*"])

    pruned = run(*mode, "--modelbudget-update", "--modelbudget-prune")
    assert pruned.ret == pytest.ExitCode.OK
    pruned.stdout.fnmatch_lines([f"{LOCK}: 1 added, 1 removed; 1 entry"])
    assert [one["inputs"] for one in locked(folder)["net"]] == [["args[0] 2x100 float32"]]
    assert run(*mode).ret == pytest.ExitCode.OK


@pytest.mark.slow
def test_a_life_with_workers(run: Run, pytester: pytest.Pytester) -> None:
    first = run("-n2", "--modelbudget-update", test_net=net())
    first.stdout.fnmatch_lines([f"{LOCK}: 1 added; 1 entry"])
    grown = run("-n2", test_net=net(220))
    grown.stdout.fnmatch_lines(["net *GREW MACs 10.0%, params 10.0%", "1 model above the baseline*"])
    renamed = run("-n2", "--modelbudget-update", "--modelbudget-prune", test_net=net(name="backbone"))
    renamed.stdout.fnmatch_lines([f"{LOCK}: 1 added, 1 removed; 1 entry"])
    assert (first.ret, grown.ret, renamed.ret) == (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.OK)
    assert list(locked(pytester.path)) == ["backbone"]


@PLAIN_AND_N2
def test_the_bytes_do_not_depend_on_workers_or_order(run: Run, pytester: pytest.Pytester, mode: list[str]) -> None:
    many = "\n".join(
        f'def test_{name}(model_budget): model_budget(Net({width}), X, name="{name}")'
        for name, width in (("b", 3), ("a", 5), ("c", 4))
    )
    run("--modelbudget-update", test_net=many)
    expected = (pytester.path / LOCK).read_bytes()
    (pytester.path / LOCK).unlink()
    run(*mode, "--modelbudget-update", test_net="\n".join(reversed(many.splitlines())))
    assert (pytester.path / LOCK).read_bytes() == expected
    assert b"\r" not in expected


def test_a_part_updates_its_own_entries_alone(run: Run, pytester: pytest.Pytester) -> None:
    run("--modelbudget-update", test_a=net(name="a"), test_b=net(name="b"))
    run("test_a.py", "--modelbudget-update", test_a=net(300, name="a"), test_b=net(300, name="b"))
    params = {name: found[0]["metrics"]["params"] for name, found in locked(pytester.path).items()}  # type: ignore[index]
    assert params == {"a": 33310, "b": 22210}


def test_a_file_of_an_older_version_is_written_anew_and_that_is_said(run: Run, pytester: pytest.Pytester) -> None:
    run("--modelbudget-update", test_net=net())
    new = (pytester.path / LOCK).read_text()
    (pytester.path / LOCK).write_text(new.replace('"schema": 2', '"schema": 1'))
    result = run("--modelbudget-update")
    result.stdout.fnmatch_lines([f"{LOCK}: the same numbers in the format of this version; 1 entry", "Commit it:*"])
    assert (pytester.path / LOCK).read_text() == new
    run("--modelbudget-update").stdout.fnmatch_lines([f"{LOCK}: nothing to change; 1 entry"])


def test_a_failed_test_is_not_accepted(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        "--modelbudget-update",
        test_net="""
        def test_good(model_budget): model_budget(Net(), X, name="good")
        def test_over(model_budget): model_budget(Net(), X, name="over", macs=1)
        def test_bad(model_budget):
            model_budget(Net(), X, name="bad")
            assert 0
        """,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert list(locked(pytester.path)) == ["good"]
    result.stdout.fnmatch_lines(["Not accepted, for their tests did not pass: bad, over"])


def test_names_of_classes_stay_out(run: Run, pytester: pytest.Pytester) -> None:
    result = run("--modelbudget-update", test_net="def test_net(model_budget): model_budget(Net(), X)")
    assert not (pytester.path / LOCK).exists()
    result.stdout.fnmatch_lines(['Not in the lock file, for they have no name of their own (name="..."): Net'])


@pytest.mark.parametrize("options", [["-k", "net"], ["test_net.py"], ["-x"]], ids=" ".join)
def test_a_run_that_is_not_complete_never_prunes(run: Run, pytester: pytest.Pytester, options: list[str]) -> None:
    run("--modelbudget-update", test_net=net(), test_other=net(name="other"))
    before = (pytester.path / LOCK).read_bytes()
    failing = "def test_first(): assert 0\n" if options == ["-x"] else ""
    result = run("--modelbudget-prune", *options, test_net=net(), test_other=failing + "def test_nothing(): pass")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert (pytester.path / LOCK).read_bytes() == before


@PLAIN_AND_N2
def test_growth_and_floor(run: Run, mode: list[str]) -> None:
    run("--modelbudget-update", test_net=net(), test_other=net(name="other"))
    table = """
    [tool.modelbudget]
    growth = "1%"
    [tool.modelbudget.models.net]
    macs = { growth = "10%" }
    flops = { growth = "none" }
    params = { floor = "2.22K" }
    trainable_params = { floor = "2.22K" }
    weight_bytes = { growth = "9.99%", floor = "8.88 KB" }
    """
    result = run(*mode, pyproject=table, test_net=net(220), test_other=net(202, name="other"))
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    more = run(*mode, test_net=net(221), test_other=net(203, name="other"))
    more.assert_outcomes(failed=2)
    more.stdout.fnmatch_lines(["E *limit: growth 10% at pyproject.toml:4 [[]tool.modelbudget.models.net[]]"])
    more.stdout.no_fnmatch_line("E *flops *24*growth none*")


def test_a_limit_holds_beside_the_baseline(run: Run) -> None:
    run("--modelbudget-update", test_net=net())
    result = run("--modelbudget-update", test_net=net(220).replace('name="net"', 'name="net", macs="24K"'))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*BudgetExceeded: net: macs 24.20 K > 24 K (+0.83%)"])


def test_none_lifts_growth_too(run: Run) -> None:
    run("--modelbudget-update", test_net=net())
    lifted = ", ".join(f"{metric}=None" for metric in ("params", "trainable_params", "macs", "flops", "weight_bytes"))
    assert run(test_net=net(220).replace('name="net"', f'name="net", {lifted}')).ret == pytest.ExitCode.OK


def test_xfail_expects_growth(run: Run) -> None:
    run("--modelbudget-update", test_net=net())
    result = run(test_net="@pytest.mark.xfail(raises=AssertionError)\n" + net(220))
    result.assert_outcomes(xfailed=1)


@pytest.mark.parametrize(("policy", "code"), [("report", 0), ("error", 1)])
def test_a_new_model(run: Run, policy: str, code: int) -> None:
    run("--modelbudget-update", test_net=net())
    result = run(test_new=net(name="fresh"), pyproject=f'[tool.modelbudget]\nnew = "{policy}"\n')
    assert result.ret == code
    result.stdout.fnmatch_lines(["fresh *not in the baseline" if code else "fresh *new"])


def test_a_model_in_the_baseline_has_a_budget(run: Run) -> None:
    run("--modelbudget-update", test_net=net())
    assert run(pyproject='[tool.modelbudget]\nunbudgeted = "error"\n').ret == pytest.ExitCode.OK


def test_weights_alone_are_held_against_any_inputs(run: Run) -> None:
    run("--modelbudget-update", test_net=net())
    weights = 'def test_net(model_budget): model_budget(Net({}), name="net")\n'
    assert run(test_net=weights.format(200)).ret == pytest.ExitCode.OK
    assert run(test_net=weights.format(220)).ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(("mode", "variable"), with_workers(["CI", "BUILD_NUMBER", "TF_BUILD"], "CI"))
def test_ci_accepts_nothing(run: Run, monkeypatch: pytest.MonkeyPatch, mode: list[str], variable: str) -> None:
    monkeypatch.setenv(variable, "17")
    result = run(*mode, "--modelbudget-update", test_net=net())
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {LOCK}: {variable} is set, *: pytest --modelbudget-update"])


EDITS = {
    "": "is empty",
    "{": "is not a lock file, or was edited by hand",
    '{"schema": 3}': "has schema 3, and this version of the plugin knows 2",
    '{"schema": 1, "flops_per_mac": 1, "models": {}}': "has flops_per_mac = 1, and the table 2",
    "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> other\n": "has conflict markers",
    "22210->22211": 'the modules of "net" add up to params 22210, not 22211',
    "22210->22210.0": "is not a lock file, or was edited by hand",
    "20200->-1": "is not a lock file, or was edited by hand",
    '"schema": 2->"schema": 2, "more": 2': "unknown field `more`",
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_file_that_is_no_lock_file(run: Run, pytester: pytest.Pytester, edit: str) -> None:
    run("--modelbudget-update", test_net=net())
    path = pytester.path / LOCK
    old, arrow, new = edit.partition("->")
    path.write_text(path.read_text().replace(old, new, 1) if arrow else edit)
    before = path.read_bytes()
    for options in ([], ["--modelbudget-update"]):
        result = run(*options)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert EDITS[edit] in result.stderr.str()
        assert path.read_bytes() == before


def test_a_baseline_that_is_named_has_to_exist(run: Run) -> None:
    table = '[tool.modelbudget]\nbaseline = "locks/mine.json"\n'
    result = run(test_net=net(), pyproject=table)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: locks/mine.json: does not exist, and pyproject.toml names it as the baseline.*"]
    )
    assert run("--modelbudget-update").ret == pytest.ExitCode.OK
    assert run().ret == pytest.ExitCode.OK


def test_places_that_cannot_be_written(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / LOCK).mkdir()
    folder = run("--modelbudget-update", test_net=net())
    assert (folder.ret, "cannot be read: " in folder.stderr.str()) == (pytest.ExitCode.USAGE_ERROR, True)
    (pytester.path / LOCK).rmdir()
    run("--modelbudget-update")
    (pytester.path / LOCK).chmod(0o444)
    assert run().ret == pytest.ExitCode.OK
    read_only = run("--modelbudget-update", test_net=net(220))
    assert (read_only.ret, "cannot be written: Permission denied" in read_only.stderr.str()) == (
        pytest.ExitCode.USAGE_ERROR,
        True,
    )


def test_a_link_is_followed_and_its_target_replaced(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "shared").mkdir()
    (pytester.path / LOCK).symlink_to(Path("shared") / "lock.json")
    assert run("--modelbudget-update", test_net=net()).ret == pytest.ExitCode.OK
    assert (pytester.path / LOCK).is_symlink()
    assert "net" in (pytester.path / "shared" / "lock.json").read_text()
    assert os.listdir(pytester.path / "shared") == ["lock.json"]  # noqa: PTH208 - nothing else is left behind


def test_a_renamed_layer_is_a_move(run: Run, pytester: pytest.Pytester) -> None:
    layers = """
    class Blocks(nn.Module):
        def __init__(self, names, extra=0):
            super().__init__()
            self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)) for _ in range(12))
            for name in names: self.add_module(name, nn.Linear(8, 16))
            self.head = nn.Linear(16, 4 + extra)
        def forward(self, x):
            for block in self.blocks: x = block(x)
            for layer in list(self.children())[1:]: x = layer(x)
            return x
    def test_net(model_budget): model_budget(Blocks(["{}"], {}), torch.zeros(1, 8), name="net")
    """
    run("--modelbudget-update", test_net=layers.format("neck", 0))
    assert run(test_net=layers.format("throat", 0)).ret == pytest.ExitCode.OK
    result = run(test_net=layers.format("throat", 1))
    result.stdout.fnmatch_lines(
        ["E *since the baseline: head Linear (+17 params, +16 MACs)", "E *since the baseline: neck is now throat"]
    )
    run("--modelbudget-update", test_net=layers.format("neck", 0))
    wider = run(test_net=layers.format("neck", 0).replace("nn.Linear(8, 8))", "nn.Linear(8, 8), nn.Linear(8, 8))"))
    wider.stdout.fnmatch_lines(["E *since the baseline: blocks.[*].2 Linear x12 (new, +864 params, +768 MACs)"])


def test_a_name_of_two_models_is_not_offered_for_the_baseline(run: Run) -> None:
    run("--modelbudget-update", test_net=net())
    both = 'def test_both(model_budget): model_budget(Net(), X, name="both"); model_budget(Net(300), X, name="both")'
    shown = run(test_both=both)
    shown.stdout.fnmatch_lines(["both * CONTRADICTED: another model has this name"])
    shown.stdout.no_fnmatch_line("Not in the baseline: *")
