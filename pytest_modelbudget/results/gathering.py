"""Join the results of all tests to one result for each model and its inputs, whatever worker measured it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations
from types import MappingProxyType
from typing import Literal

from msgspec import structs

from pytest_modelbudget.budgets import Check, Limit, Place, Problem, Table, Verdict, stale_entries, unrun_declarations
from pytest_modelbudget.budgets.judging import in_order
from pytest_modelbudget.metrics import METRICS
from pytest_modelbudget.names import natural
from pytest_modelbudget.results.baseline import DEFAULT_NAME, Lock
from pytest_modelbudget.results.run import (
    FailedTest,
    Incomplete,
    ModelResult,
    Result,
    Run,
    SharedMark,
    Stale,
    TestResult,
)


def gather(
    tests: Mapping[str, TestResult],
    *,
    failed: Mapping[str, str] = MappingProxyType({}),
    lost_workers: Iterable[str] = (),
    internal_errors: Iterable[str] = (),
    incomplete: Mapping[Incomplete, str] = MappingProxyType({}),
    left_out: Iterable[str] = (),
    table: Table | None = None,
    lock: Lock | None = None,
    accepts: bool = False,
) -> Run:
    """Return the run whose tests, by node id, found this; models are in the order of the node ids.

    Results with the same name and inputs are one where they do not contradict each other, and so is a measurement
    without inputs with one that ran. ``failed`` has what the reports of failed tests say first.
    """
    tests = {test: tests[test] for test in sorted(tests, key=natural)}
    found = (
        ModelResult(result, (test,), of_test.excused and bool(result.verdict.excusable))
        for test, of_test in tests.items()
        for result in of_test.results
    )
    models, contradicting = joined(found)
    policies, unknown = table or Table(), [test for test, of_test in tests.items() if of_test.skipped or test in failed]
    return Run(
        models=models,
        contradicting=contradicting,
        lost_workers=tuple(lost_workers),
        internal_errors=tuple(internal_errors),
        stale=(
            *_stale(policies, [model.name for model in models], tests),
            *_stale_in_lock(policies, lock or Lock(), models, accepts=accepts),
        ),
        unused=tuple(test for test, of_test in tests.items() if of_test.unused),
        outside=tuple((test, of_test.outside) for test, of_test in tests.items() if of_test.outside),
        incomplete=tuple(incomplete),
        details=dict(incomplete),
        failed=tuple(_failed(tests, failed)),
        marks=_joined_marks((mark for of_test in tests.values() for mark in of_test.marks), unknown),
        flops_per_mac=policies.flops_per_mac,
        reported=tuple(tests),
        left_out=tuple(sorted(left_out, key=natural)),
    )


def _failed(tests: Mapping[str, TestResult], failed: Mapping[str, str]) -> Iterator[FailedTest]:
    """Yield the tests under a budget that failed, but for those of which a model says why."""
    for test, found in tests.items():
        if test not in failed or any(result.verdict.errors for result in found.results):
            continue
        if found.failure:
            yield FailedTest(test, found.failure.partition("\n")[0])
        else:
            kind = failed[test].partition(":")[0]
            yield FailedTest(test, "AssertionError" if kind.startswith("assert ") else kind, by_itself=True)


def _joined_marks(found: Iterable[SharedMark], unknown: Sequence[str] = ()) -> tuple[SharedMark, ...]:
    """Return each mark of a class or module once; it counts as met where one of the ``unknown`` tests has it."""
    met: dict[SharedMark, bool] = {}
    for mark in found:
        key = structs.replace(mark, met=False)
        met[key] = met.get(key, False) or mark.met
    return tuple(structs.replace(mark, met=is_met or any(map(mark.is_of, unknown))) for mark, is_met in met.items())


def joined(found: Iterable[ModelResult]) -> tuple[tuple[ModelResult, ...], tuple[tuple[int, int], ...]]:
    """Return the results of models as one for each model and its inputs, and the places of those that contradict."""
    models: list[ModelResult] = []
    places: dict[str, list[int]] = {}
    for new in found:
        of_this_name = places.setdefault(new.name, [])
        place = next((place for place in of_this_name if _are_one(models[place].verdict, new.verdict)), None)
        if place is None:
            of_this_name.append(len(models))
            models.append(new)
        else:
            models[place] = _merged(models[place], new)
    pairs = (pair for of_a_name in places.values() for pair in _contradicting(models, of_a_name))
    return tuple(models), tuple(sorted(pairs))


def merge(runs: Sequence[Run]) -> Run:
    """Return the run of which these are the shards.

    Tests that some shard left out and none ran are still ``left_out``, and so are declared models that no shard was
    asked for: the run of a shard is missing. What a shard did not measure is stale only where no other measured it.
    Raises ValueError for two conventions.
    """
    if len({run.flops_per_mac for run in runs}) > 1:
        raise ValueError("the runs count different numbers of FLOPs a MAC: two conventions are never compared")
    models, contradicting = joined(
        sorted((model for run in runs for model in run.models), key=lambda model: natural(model.tests[0]))
    )
    reported = sorted({test for run in runs for test in run.reported}, key=natural)
    left_out = {test for run in runs for test in run.left_out} - {*reported}
    reasons = dict.fromkeys(reason for run in runs for reason in run.incomplete)
    # Each shard deselected the tests of the others; together they ran them all.
    if not left_out:
        reasons.pop("deselected", None)
    unmeasured = [{(entry.name, entry.inputs) for entry in run.stale} for run in runs]
    stale = [entry for entry in runs[0].stale if all((entry.name, entry.inputs) in names for names in unmeasured)]
    if reasons:
        unrun = [entry for entry in stale if entry.declared and entry.severity == "error"]
        left_out |= {f"{entry.place.path}::{entry.name}" for entry in unrun if entry.place}
    return Run(
        models=models,
        contradicting=contradicting,
        lost_workers=tuple(worker for run in runs for worker in run.lost_workers),
        internal_errors=tuple(error for run in runs for error in run.internal_errors),
        stale=tuple(stale),
        unused=tuple(test for run in runs for test in run.unused),
        outside=tuple(operators for run in runs for operators in run.outside),
        incomplete=tuple(reasons),
        flops_per_mac=runs[0].flops_per_mac,
        reported=tuple(reported),
        left_out=tuple(sorted(left_out, key=natural)),
        details={reason: detail for run in runs for reason, detail in run.details.items() if reason in reasons},
        lock=runs[0].lock,
        about=runs[0].about,
        failed=tuple(failure for run in runs for failure in run.failed),
        marks=_joined_marks(mark for run in runs for mark in run.marks),
    )


_SEVERITIES: Mapping[str, Literal["error", "warning"]] = {"error": "error", "warn": "warning"}


def _stale(table: Table, measured: list[str], tests: Iterable[str]) -> Iterator[Stale]:
    """Yield the entries that no model has, and the declared models whose item was not run."""
    severity = _SEVERITIES.get(table.stale)
    for declared in unrun_declarations(table, tests):
        yield Stale(declared.name, declared.place, severity, declared=True)
    for name, rules in stale_entries(table, measured).items():
        yield Stale(name, rules.place, severity, next(iter(get_close_matches(name, measured, n=1)), None))


def _stale_in_lock(table: Table, lock: Lock, models: Sequence[ModelResult], *, accepts: bool) -> Iterator[Stale]:
    """Yield the entries of the baseline that no test measured; each set of inputs of a model is an entry."""
    severity = None if accepts else _SEVERITIES.get(table.stale)
    measured = {(model.name, tuple(map(str, model.inputs))) for model in models if model.verdict.named}
    names = {name: bool(inputs) for name, inputs in sorted(measured)}
    for name, inputs in lock.identities():
        # A model that this run measured without inputs stands for its entry at any inputs.
        if (name, inputs) not in measured and names.get(name, True):
            yield Stale(name, Place(table.baseline or DEFAULT_NAME), severity, name if name in names else None, inputs)


def _are_one(one: Verdict, other: Verdict) -> bool:
    return _share_identity(one, other) and not differing(one, other)


def _share_identity(one: Verdict, other: Verdict) -> bool:
    """Return whether name and inputs are the same, or the inputs of one of them none: weights do not depend on them."""
    if (one.model, one.named) != (other.model, other.named):
        return False
    return one.inputs == other.inputs or not one.inputs or not other.inputs


def differing(one: Verdict, other: Verdict) -> dict[str, tuple[int, int]]:
    """Return the metrics that both measured, with different values."""
    others = {check.metric: check.value for check in other.checks}
    pairs = ((check.metric, check.value, others.get(check.metric)) for check in one.checks)
    return {
        metric: (mine, other)
        for metric, mine, other in pairs
        if mine is not None and other is not None and mine != other
    }


def _contradicting(models: list[ModelResult], of_a_name: list[int]) -> list[tuple[int, int]]:
    """Return the place of each result of one name that gives it to another measurement, after the first that did."""
    found: dict[int, tuple[int, int]] = {}
    for one, other in combinations(of_a_name, 2):
        if models[one].verdict.named and _share_identity(models[one].verdict, models[other].verdict):
            found.setdefault(other, (one, other))
    return list(found.values())


def _merged(one: ModelResult, other: ModelResult) -> ModelResult:
    excused = [model.excused for model in (one, other) if model.verdict.excusable]
    return ModelResult(
        Result(
            _merged_verdict(one.verdict, other.verdict),
            # One of the tests may have measured the backward pass too.
            max(one.result, other.result, key=_knows).encoded,
            max(one.differences, other.differences, key=len),
        ),
        tuple(dict.fromkeys((*one.tests, *other.tests))),
        bool(excused) and all(excused),
    )


def _knows(result: Result) -> int:
    return sum(check.value is not None for check in result.verdict.checks)


def _merged_verdict(one: Verdict, other: Verdict) -> Verdict:
    mine = {check.metric: check for check in one.checks}
    others = {check.metric: check for check in other.checks}
    checks = [
        _merged_check(mine.get(metric), others.get(metric)) for metric in METRICS if metric in mine or metric in others
    ]
    known = {check.subject: check for check in one.parts}
    others = {check.subject: check for check in other.parts}
    parts = tuple(_merged_check(known.get(key), others.get(key)) for key in {**known, **others})
    merged = structs.replace(
        one,
        checks=tuple(checks),
        parts=parts,
        scaling=one.scaling or other.scaling,
        inputs=one.inputs or other.inputs,
        message=one.message or other.message,
    )
    return structs.replace(merged, problems=_merged_problems((*one.problems, *other.problems), merged.budgeted))


def _merged_check(one: Check | None, other: Check | None) -> Check:
    if one is None or other is None:
        return one or other  # type: ignore[return-value]  # one of the two exists
    value = other.value if one.value is None else one.value
    compared = other if one.before is None else one
    return Check(
        one.metric,
        value,
        _tightest(one.limit, other.limit),
        _tightest(one.warn, other.warn),
        compared.before,
        compared.growth,
        compared.allowed,
        one.module,
    )


def _tightest(one: Limit | None, other: Limit | None) -> Limit | None:
    if one is None or other is None:
        return one or other
    return other if other.value < one.value else one


def _merged_problems(problems: Iterable[Problem], budgeted: bool) -> tuple[Problem, ...]:
    """Return the worst problem of each kind and metric; that a model has no budget is no warning where it has one."""
    worst: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        if problem.kind == "unbudgeted" and problem.severity == "warning" and budgeted:
            continue
        known = worst.get((problem.kind, problem.subject))
        if known is None or _tightest(known.limit, problem.limit) is not known.limit:
            worst[problem.kind, problem.subject] = problem
    return in_order(worst.values())
