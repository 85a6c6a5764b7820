"""The hooks of the plugin, and nothing but hooks.

pytest imports this module at every start, so whatever is not needed by a run without budgets is imported where it is
used.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_modelbudget.session import GUARDED, SESSION, Session, has_mark

if TYPE_CHECKING:
    from pytest_modelbudget.session.fixture import ModelBudget

_MARKERS = (
    "budget(*, params, trainable_params, macs, flops, weight_bytes, model, name): limit what the models of this test "
    'cost, as in budget(params="25.6M", macs="4.1G"); None lifts an inherited limit. On a test that uses the '
    "model_budget fixture the limits are for what the fixture measures (training_macs and training_flops too); any "
    "other test is observed while it runs.",
    "modelbudget(...): the same as budget, for projects in which another plugin has a mark of that name.",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("modelbudget", "model budgets")
    group.addoption(
        "--modelbudget-config",
        metavar="PATH",
        help="read the [tool.modelbudget] table from this TOML file instead of the pyproject.toml in rootdir",
    )
    parser.addini(
        "modelbudget_junit",
        "write what the models cost into the JUnit file, as testcase properties (default: true)",
        type="bool",
        default=True,
    )


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_modelbudget import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    session = config.stash[SESSION] = Session.start(config)
    config.pluginmanager.register(AfterSetup(), "modelbudget-after-setup")
    if session.is_controller:
        config.pluginmanager.register(OnController(session), "modelbudget-controller")


@pytest.fixture
def model_budget(request: pytest.FixtureRequest) -> Generator[ModelBudget]:
    """Measure a model and hold it against its budget.

    ``model_budget(model, args=(), kwargs=None, *, input_size=None, name=None, backward=False, **limits)`` returns the
    Measurement, or raises BudgetExceeded naming every metric that is over. ``model`` is a module, or a factory that
    is built without allocating its weights.
    """
    from pytest_modelbudget.session.fixture import ModelBudget

    _watch_tests(request.config)
    budget = ModelBudget(request.node)
    yield budget
    budget.close()


def pytest_runtest_setup(item: pytest.Item) -> None:
    __tracebackhide__ = True
    if GUARDED in item.stash:  # a rerun starts anew
        del item.stash[GUARDED]
    if has_mark(item):
        from pytest_modelbudget.session.guarded import guard

        _watch_tests(item.config)
        guard(item)


class AfterSetup:
    """The hook that runs once the fixtures of a test are there: they may have added a mark."""

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if has_mark(item):
            _watch_tests(item.config)


def _watch_tests(config: pytest.Config) -> None:
    """Register the hooks around tests, once there is a test under a budget: other runs do not pay for them."""
    if not config.pluginmanager.has_plugin("modelbudget-tests"):
        config.pluginmanager.register(OnTests(), "modelbudget-tests")


class OnTests:
    """The hooks around tests under a budget."""

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        guarded = item.stash.get(GUARDED, None)
        if guarded is None and has_mark(item):
            from pytest_modelbudget.session.guarded import guard

            guarded = guard(item)
        if guarded is None:
            return (yield)
        with guarded.watching():
            return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        result = yield
        guarded = item.stash.get(GUARDED, None)
        if guarded is not None:
            guarded.refuse_swallowed()
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        guarded = item.stash.get(GUARDED, None)
        if guarded is None:
            return (yield)
        guarded.before_report(call)
        report = yield
        guarded.after_report(call, report)
        return report


class OnController:
    """The hooks of the process that reports: the only one without xdist, the controller with it."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["modelbudget"] = self.session.table_data

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if error:
            self.session.lost_workers.append(node.gateway.id)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "modelbudget"):
            self.session.results[report.nodeid] = report.modelbudget

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        result = yield
        if self.session.in_use:
            from pytest_modelbudget.session.gates import report_gates

            report_gates(self.session)
        return result

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        # A gate is no test: it counts as a failure, and has no letter in the line of progress.
        return ("failed" if report.failed else "", "", "") if self.session.reporting_gates else None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.session.results:
            from pytest_modelbudget.session.screen import write_summary

            write_summary(self.session, terminalreporter)
