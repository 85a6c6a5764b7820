"""The JUnit file: exact integers as properties, the same with and without workers."""

from __future__ import annotations

import pytest

from .conftest import Run
from .junit import cases_of, counts, outcome, properties

SUITE = """
@pytest.mark.budget(macs="22K", params=22210)
def test_observed(): Net()(X)

@pytest.mark.budget(macs="21.5K")
def test_over(): Backbone()(X)

def test_measured(model_budget):
    model_budget(net, input_size=(2, 100), weight_bytes="90 KB")
    model_budget(Head())
    model_budget(Head())

def test_plain(): pass
"""
NET = {
    "modelbudget.Net.mode": "train",
    "modelbudget.Net.params": "22210",
    "modelbudget.Net.params.limit": "22210",
    "modelbudget.Net.trainable_params": "22210",
    "modelbudget.Net.macs": "22000",
    "modelbudget.Net.macs.limit": "22000",
    "modelbudget.Net.flops": "44000",
    "modelbudget.Net.weight_bytes": "88840",
}


@pytest.mark.slow
def test_properties_are_exact_integers_and_the_same_with_workers(run: Run, pytester: pytest.Pytester) -> None:
    plain = run("--junitxml=plain.xml", test_suite=SUITE)
    spread = run("--junitxml=spread.xml", "-n2")
    found = properties(pytester.path / "plain.xml")
    assert found["test_suite::test_observed"] == NET
    assert found["test_suite::test_over"]["modelbudget.Backbone.macs.limit"] == "21500"
    assert found["test_suite::test_measured"]["modelbudget.net.weight_bytes.limit"] == "90000"
    assert found["test_suite::test_measured"]["modelbudget.net.macs"] == "44000"
    assert found["test_suite::test_plain"] == {}
    assert properties(pytester.path / "spread.xml") == found
    assert plain.ret == spread.ret == pytest.ExitCode.TESTS_FAILED
    for name in ("plain.xml", "spread.xml"):
        assert counts(pytester.path / name) == {"tests": 4, "failures": 1, "errors": 0, "skipped": 0}
        assert outcome(cases_of(pytester.path / name)["test_suite::test_over"]) == "failed"


def test_the_value_in_the_baseline_stands_beside_it(run: Run, pytester: pytest.Pytester) -> None:
    net = 'def test_net(model_budget): model_budget(Net({}), X, name="net")'
    run("--modelbudget-update", test_suite=net.format(200))
    run("--junitxml=junit.xml", test_suite=net.format(220))
    found = properties(pytester.path / "junit.xml")["test_suite::test_net"]
    assert found["modelbudget.net.macs"] == "24200"  # 100 * 220 + 220 * 10
    assert found["modelbudget.net.macs.baseline"] == "22000"


def test_different_measurements_of_one_class_are_told_apart(run: Run, pytester: pytest.Pytester) -> None:
    run(
        "--junitxml=junit.xml",
        test_suite="""
        def test_heads(model_budget):
            for width in (200, 300, 200): model_budget(Net(width))
        """,
    )
    found = properties(pytester.path / "junit.xml")["test_suite::test_heads"]
    assert {name: value for name, value in found.items() if name.endswith(".params")} == {
        "modelbudget.Net.params": "22210",
        "modelbudget.Net#2.params": "33310",
    }


def test_the_properties_can_be_turned_off(run: Run, pytester: pytest.Pytester) -> None:
    run("-o", "modelbudget_junit=false", "--junitxml=junit.xml", test_suite=SUITE)
    assert not any(properties(pytester.path / "junit.xml").values())


def test_properties_of_users_are_kept(run: Run, pytester: pytest.Pytester) -> None:
    run(
        "--junitxml=junit.xml",
        test_suite="""
        def test_net(model_budget, request):
            request.node.user_properties.append(("mine", 1))
            model_budget(Head())
        """,
    )
    found = properties(pytester.path / "junit.xml")["test_suite::test_net"]
    assert (found["mine"], found["modelbudget.Head.params"]) == ("1", "22")
