"""Everything that the plugin needs of pytest and that pytest keeps private, in one place.

Each function says what breaks without it. Everything else uses the public API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from inspect import isgeneratorfunction
from pathlib import Path
from typing import Any, Literal

import pytest
from _pytest import skipping
from _pytest.pathlib import fnmatch_ex


def measures_in_teardown(item: pytest.Item) -> bool:
    """Return whether a fixture that goes on when the test has ended has ``model_budget``, or may get it.

    Without it a test whose fixture measures then would be told that it measured nothing.
    """
    definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return any(
        isgeneratorfunction(fixture.func) and not {"model_budget", "request"}.isdisjoint(fixture.argnames)
        for found in definitions.values()
        for fixture in found
        if not fixture.func.__module__.startswith("_pytest.")
    )


def marks_of_parameters(item: pytest.Item) -> Iterable[pytest.Mark]:
    """Return the marks of ``pytest.param``.

    Without it they would count as those of the function, and an outer mark could win.
    """
    return getattr(getattr(item, "callspec", None), "marks", ())


def xfail_expects(item: pytest.Item, raised: BaseException) -> bool:
    """Return whether an xfail that applies to ``item`` excuses ``raised``.

    Without it a test that is expected to fail could not be told from one that fails, whatever is decided.
    """
    found = _xfail_of(item)
    if found is None or found.raises is None:
        return found is not None
    if isinstance(found.raises, (type, tuple)):
        return isinstance(raised, found.raises)
    return found.raises.matches(raised)  # RaisesExc and RaisesGroup, from pytest 8.4 on


def _xfail_of(item: pytest.Item) -> skipping.Xfail | None:
    if item.config.option.runxfail:
        return None
    found = item.stash.get(skipping.xfailed_key, None)
    return skipping.evaluate_xfail_marks(item) if found is None else found  # the test may have added a mark


def own_exception(item: pytest.Item) -> BaseException | None:
    """Return what the test method of a ``unittest.TestCase`` raised, which pytest does not let through its hooks.

    Without it a TestCase that failed or was skipped would look as if it had passed.
    """
    found = getattr(item, "_excinfo", None)
    return found[0].value if found else None


def drop_own_exception(item: pytest.Item) -> None:
    """Forget what a TestCase raised, which pytest would report instead of what a hook raises."""
    if getattr(item, "_excinfo", None):
        item._excinfo = None  # type: ignore[attr-defined]


def show_as_failed(report: pytest.TestReport) -> None:
    """Turn the report of an expected failure into that of a failure; it shows the same.

    Without it an xfail would excuse what it must not.
    """
    report.outcome = "failed"
    del report.wasxfail


def say_once(report: pytest.TestReport) -> None:
    """Leave the first line of a failure to the short summary, and its class without the module everywhere.

    Without it the summary would repeat the whole message where pytest does not cut it: in CI, and with ``-vv``. And the
    module's name would leave no room for the message.
    """
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = _without_module(crash.message.partition("\n")[0])
    for entry in getattr(getattr(report.longrepr, "reprtraceback", None), "reprentries", ()):
        entry.lines = [*map(_without_module, entry.lines)]


def _without_module(line: str) -> str:
    return re.sub(r"^(E +)?pytest_modelbudget\.(\w+\.)*(?=\w+: )", r"\1", line)


def headline(longrepr: Any) -> str:
    """Return the first line of what a failed report shows: the exception, and what it says.

    Without it that line could be found only by its place in the text of the whole report.
    """
    crash = getattr(longrepr, "reprcrash", None)
    return str(longrepr if crash is None else crash.message).partition("\n")[0]


def encoding_of(terminal: pytest.TerminalReporter) -> str:
    """Return the encoding of the screen.

    Without it pytest would escape a whole line for one letter that the screen does not have, and columns would shift.
    """
    return getattr(terminal._tw._file, "encoding", None) or "utf-8"


def matches(path: Path, patterns: Iterable[str]) -> bool:
    """Return whether a path is one of those that ``python_files`` or ``norecursedirs`` names.

    Without it a pattern with a slash would mean other files than it means to pytest.
    """
    return any(fnmatch_ex(pattern, path) for pattern in patterns)


def report_of_run_failure(
    name: str, excinfo: pytest.ExceptionInfo[BaseException] | None, when: Literal["setup", "call", "teardown"]
) -> pytest.TestReport:
    """Return the report of an item that was never collected: what is wrong with the run as a whole.

    Without it such a failure would be in no JUnit file and in no short summary.
    """
    report = pytest.TestReport(
        nodeid=f"modelbudget::{name}",
        location=("modelbudget", None, name),
        keywords={},
        outcome="passed" if excinfo is None else "failed",
        longrepr=None if excinfo is None else excinfo.getrepr(style="value"),
        when=when,
    )
    say_once(report)
    return report


def forget_last_failed(config: pytest.Config, report: pytest.TestReport) -> None:
    """Take what is no test out of those that ``--lf`` runs again.

    Without it every later ``--lf`` would miss it, long after it was put right.
    """
    cache = config.pluginmanager.getplugin("lfplugin")
    if cache is not None:
        cache.lastfailed.pop(getattr(report, "id", report.nodeid), None)  # pytest 9.2 has identities of its own


def without_capture(config: pytest.Config) -> Callable[[], AbstractContextManager[None]]:
    """Return what writes to the real screen while a test runs.

    Without it the progress of a long measurement would end up in the captured output.
    """
    capture = config.pluginmanager.getplugin("capturemanager")
    return nullcontext if capture is None else capture.global_and_fixture_disabled


def watch_expected_failure(item: pytest.Item, seen: Callable[[BaseException], None]) -> None:
    """Tell ``seen`` what a method under ``unittest.expectedFailure`` raises.

    Without it an excess that such a test expects could not be told from one that it swallowed.
    """
    note = getattr(item, "addExpectedFailure", None)
    if note is None:
        return

    def add_expected_failure(testcase: Any, rawexcinfo: Any, reason: str = "") -> None:
        if isinstance(rawexcinfo, tuple):
            seen(rawexcinfo[1])
        note(testcase, rawexcinfo, reason)

    item.addExpectedFailure = add_expected_failure  # type: ignore[attr-defined]
