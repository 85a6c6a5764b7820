from __future__ import annotations

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    return _again(item) if call.when == "call" and report.failed else report


def _again(item: pytest.Item) -> pytest.TestReport:
    """Run a test once more and make its report, as pytest-retry does: without the hook for reports."""
    following = pytest.Class.from_parent(item.session, name="Following")
    item.ihook.pytest_runtest_teardown(item=item, nextitem=following)
    item._initrequest()  # type: ignore[attr-defined]
    item.ihook.pytest_runtest_setup(item=item)
    call = pytest.CallInfo.from_call(lambda: item.ihook.pytest_runtest_call(item=item), "call")
    return pytest.TestReport.from_item_and_call(item, call)
