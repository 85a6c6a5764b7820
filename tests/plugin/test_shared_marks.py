"""A mark of a class or module is satisfied by one of its tests: judged when all of them ran, as one failed item."""

from __future__ import annotations

import pytest

from pytest_modelbudget.cli.main import main

from .conftest import EVERY_MODE, PLAIN_AND_N2, Run, with_workers

NOTHING = """
@pytest.mark.budget(macs="22K")
class TestNet:
    def test_one(self): pass
    def test_two(self): pass

@pytest.mark.budget(macs="22K")
class TestFine:
    def test_one(self): pass
    def test_two(self): Net()(X)
"""
FAILED = "FAILED modelbudget::mark test_net.py::TestNet - BudgetError: *"


@EVERY_MODE
def test_a_class_that_measured_nothing_is_one_failed_item(run: Run, mode: list[str]) -> None:
    result = run(*mode, test_net=NOTHING)
    result.assert_outcomes(passed=4, failed=1)
    said = "*budget declared at test_net.py:2 @pytest.mark.budget, but none of the tests of test_net.py::TestNet *"
    result.stdout.fnmatch_lines([said, FAILED])
    result.stdout.no_fnmatch_line("*TestFine*measured*")


PARTS = [["-k", "one"], ["test_net.py::TestNet"], ["test_net.py::TestNet::test_one"], ["-x"]]


@pytest.mark.parametrize(("mode", "part"), with_workers(["0", "1", "2", "3"], "0"))
def test_a_part_of_its_tests_decides_nothing(run: Run, mode: list[str], part: str) -> None:
    files = {"test_a": "def test_fails(): assert 0"} if PARTS[int(part)] == ["-x"] else {}
    result = run(*mode, *PARTS[int(part)], test_net=NOTHING, **files)
    result.stdout.no_fnmatch_line("*modelbudget::mark*")


@PLAIN_AND_N2
def test_what_selects_other_tests_changes_nothing(run: Run, mode: list[str]) -> None:
    result = run(*mode, "test_net.py", "-k", "not Fine", test_net=NOTHING, test_other="def test_other(): pass")
    result.stdout.fnmatch_lines([FAILED])


UNKNOWN = {
    "failed": "assert 0",
    "skipped": "pytest.skip('no GPU')",
    "xfailed": "pytest.xfail('no GPU')",
}


@pytest.mark.parametrize(("mode", "how"), with_workers(UNKNOWN, "skipped"))
def test_what_a_test_that_did_not_end_measures_is_unknown(run: Run, mode: list[str], how: str) -> None:
    suite = NOTHING.replace("def test_two(self): pass", f"def test_two(self): {UNKNOWN[how]}")
    run(*mode, test_net=suite).stdout.no_fnmatch_line("*modelbudget::mark*")
    marked = NOTHING.replace("    def test_two(self): pass", "    @pytest.mark.skip\n    def test_two(self): pass")
    run(*mode, test_net=marked).stdout.no_fnmatch_line("*modelbudget::mark*")


@PLAIN_AND_N2
def test_a_module_and_a_pattern_of_models(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        test_module='pytestmark = pytest.mark.budget(macs="22K")\ndef test_one(): pass\n',
        test_model="""
        @pytest.mark.budget(model="Ne*", macs="22K")
        class TestNet:
            def test_one(self): Head()(X[:, :10])
        """,
    )
    result.stdout.fnmatch_lines_random(
        ["FAILED modelbudget::mark test_module.py - *", "FAILED modelbudget::mark test_model.py::TestNet - *"]
    )
    result.stdout.fnmatch_lines(['*none of the tests of test_model.py::TestNet measured a model called "Ne[*]"'])


SHARD = """
import os
def pytest_collection_modifyitems(items): items[:] = items[int(os.environ["SHARD"])::2]
"""


@pytest.mark.parametrize("measures", [True, False])
def test_the_shards_of_a_class_are_judged_together(
    run: Run,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    measures: bool,
) -> None:
    pytester.makeconftest(SHARD)
    suite = NOTHING if not measures else NOTHING.replace("def test_two(self): pass", "def test_two(self): Net()(X)")
    for shard in "01":
        monkeypatch.setenv("SHARD", shard)
        assert run(f"--modelbudget-report=json:{shard}.json", test_net=suite).ret == pytest.ExitCode.OK
    capsys.readouterr()
    assert main(["merge", "0.json", "1.json"]) == (0 if measures else 1)
    assert ("none of the tests of test_net.py::TestNet measured" in capsys.readouterr().err) is not measures
