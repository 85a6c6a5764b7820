"""The results of one test, of one model over all tests, and of the whole run.

A measurement travels as the JSON of its folded form, and is decoded where somebody reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec
from msgspec import Raw, Struct, field

from pytest_modelbudget.budgets import Place, Verdict
from pytest_modelbudget.measurement import Measurement, OperatorCost, TensorSpec
from pytest_modelbudget.results.difference import Difference
from pytest_modelbudget.results.folding import FoldedMeasurement, fold, unfold

Incomplete = Literal[
    "selected", "arguments", "not collected", "deselected", "skipped", "stopped", "collection failed", "worker lost"
]
"""Why a run does not show everything that the project's tests measure.

``selected``: it was asked for single tests, or an option changed what is collected; ``arguments``: it was asked for
some files or folders; ``not collected``: a file of the project was not; ``deselected``: a filter or a shard left tests
out; ``skipped``: a test under a budget gave up, or was skipped, or a file that may hold some; ``stopped``: tests were
left when it ended.
"""


class Result(Struct, frozen=True):
    """A verdict with its measurement, which stays encoded until it is read, and what changed since the baseline."""

    verdict: Verdict
    encoded: Raw = field(name="measurement")
    differences: tuple[Difference, ...] = ()

    @classmethod
    def of(cls, verdict: Verdict, measurement: Measurement, differences: tuple[Difference, ...] = ()) -> Result:
        """Return the result of one judged measurement."""
        return cls(verdict, Raw(msgspec.json.encode(fold(measurement))), differences)

    @property
    def measurement(self) -> Measurement:
        """The measurement, decoded anew at every call."""
        return unfold(msgspec.json.decode(self.encoded, type=FoldedMeasurement))


class SharedMark(Struct, frozen=True, omit_defaults=True):
    """A mark of a class or module, by its node id, and the pattern of the models that it speaks of, if it has one.

    ``met`` tells that a test measured such a model, or that nobody knows: it failed, or was skipped.
    """

    node: str
    place: Place | None = None
    model: str | None = None
    met: bool = False

    def is_of(self, test: str) -> bool:
        """Return whether a test, by its node id, has the mark."""
        return test.startswith(f"{self.node}::")


class TestResult(Struct, frozen=True, omit_defaults=True):
    """What one test found.

    ``excused`` tells that ``xfail`` expected its excesses, ``skipped`` that it gave up before its end, ``unused`` that
    it asked for the fixture and never called it. ``outside`` are operators that an observed test ran outside of any
    module. ``failure`` is what the test has to be reported as failed with, whatever becomes of its reports on the way.
    ``marks`` are those of its class and module.
    """

    __test__: ClassVar[bool] = False  # no test, whatever pytest takes from the name

    results: tuple[Result, ...] = ()
    excused: bool = False
    skipped: bool = False
    unused: bool = False
    outside: tuple[OperatorCost, ...] = ()
    failure: str = ""
    marks: tuple[SharedMark, ...] = ()


class ModelResult(Struct, frozen=True):
    """One model for one set of inputs, over all tests that measured it.

    ``result`` has the tightest of the limits that apply and the problems of every test, with the measurement that
    knows most; ``excused`` tells that every test that found an excess expected it.
    """

    result: Result
    tests: tuple[str, ...]
    excused: bool = False

    @property
    def name(self) -> str:
        """The model's name."""
        return self.verdict.model

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Shape and dtype of its inputs."""
        return self.verdict.inputs

    @property
    def verdict(self) -> Verdict:
        """The verdict over all tests."""
        return self.result.verdict

    @property
    def fails(self) -> bool:
        """Whether an error is left that ``xfail`` did not expect."""
        return len(self.verdict.errors) > (len(self.verdict.excusable) if self.excused else 0)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What changed since the baseline, by metric."""
        return self.result.differences

    @property
    def measurement(self) -> Measurement:
        """The measurement, decoded anew at every call."""
        return self.result.measurement


class Stale(Struct, frozen=True):
    """An entry of the table or of the baseline that no test measured, and how bad that is where the run is complete.

    ``nearest`` is the measured model whose name is most like it, if one is; ``inputs`` are those of an entry of the
    baseline. ``declared`` tells that the table declares the model, and that the model's own item was not run.
    """

    name: str
    place: Place | None
    severity: Literal["error", "warning"] | None = None
    nearest: str | None = None
    inputs: tuple[str, ...] | None = None
    declared: bool = False


class FailedTest(Struct, frozen=True):
    """A test under a budget that failed although no model that it measured says why.

    ``error`` is the first line of a failure of the plugin, and for a test that failed ``by_itself`` the exception.
    """

    test: str
    error: str
    by_itself: bool = False


class About(Struct, frozen=True, omit_defaults=True):
    """Whose run it is: the project, its commit where the run knows it, the time in UTC, and the versions in use."""

    project: str = ""
    commit: str = ""
    time: str = ""
    torch: str = ""
    plugin: str = ""


class Run(Struct, frozen=True):
    """Everything that one run of pytest found.

    ``contradicting`` are the places of results that give one name to two different measurements, ``incomplete`` the
    reasons for which models of the project may be missing. ``stale`` are the table's entries for a model that no test
    measured, ``unused`` the tests that asked for the fixture and never called it, and ``outside`` the operators that
    observed tests ran outside of any module, by node id. ``flops_per_mac`` is the
    convention in use. ``reported`` are the tests under a budget that ran, ``left_out`` those that were collected and
    left out, as the tests of other shards are. ``details`` tell what some of the reasons in ``incomplete`` are about:
    the file that was not collected, the test that was skipped. ``failed`` are tests under a budget. ``lock`` is the
    path of the baseline in its repository, where there is one.
    """

    models: tuple[ModelResult, ...] = ()
    contradicting: tuple[tuple[int, int], ...] = ()
    lost_workers: tuple[str, ...] = ()
    internal_errors: tuple[str, ...] = ()
    stale: tuple[Stale, ...] = ()
    unused: tuple[str, ...] = ()
    outside: tuple[tuple[str, tuple[OperatorCost, ...]], ...] = ()
    incomplete: tuple[Incomplete, ...] = ()
    flops_per_mac: int = 2
    reported: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    details: Mapping[Incomplete, str] = {}
    failed: tuple[FailedTest, ...] = ()
    marks: tuple[SharedMark, ...] = ()
    lock: str = ""
    about: About = About()

    @property
    def contradictions(self) -> tuple[tuple[ModelResult, ModelResult], ...]:
        """The pairs of results that give one name to two different measurements."""
        return tuple((self.models[one], self.models[other]) for one, other in self.contradicting)

    @property
    def complete(self) -> bool:
        """Whether the run shows everything that the project's tests measure."""
        return not self.incomplete

    @property
    def unmet(self) -> tuple[SharedMark, ...]:
        """The marks of classes and modules of which all tests ran, and none measured a model."""
        if not {"selected", "stopped", "collection failed", "worker lost"}.isdisjoint(self.incomplete):
            return ()
        return tuple(mark for mark in self.marks if not mark.met and not any(map(mark.is_of, self.left_out)))

    @property
    def shows_all(self) -> bool:
        """Whether what was not measured is gone: a test that failed by itself may measure more when it passes."""
        return self.complete and not self.failed

    @property
    def missing(self) -> tuple[Stale, ...]:
        """The unmeasured entries that are wrong: only a run that shows all judges them."""
        return tuple(entry for entry in self.stale if entry.severity == "error") if self.shows_all else ()

    @property
    def tests(self) -> tuple[str, ...]:
        """The node ids of the tests that measured something."""
        return tuple(dict.fromkeys(test for model in self.models for test in model.tests))


def encode(result: TestResult) -> bytes:
    """Return the JSON of what one test found."""
    return msgspec.json.encode(result)


def decode(data: bytes) -> TestResult:
    """Return what one test found; its measurements stay encoded."""
    return msgspec.json.decode(data, type=TestResult)
