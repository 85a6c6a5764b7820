from __future__ import annotations

import asyncio
import inspect

import pytest
from _pytest.runner import runtestprotocol


def pytest_collection_modifyitems(items):
    for item in items:
        if "_while_collecting" in item.name:
            item.add_marker(pytest.mark.budget(macs="lots" if "malformed" in item.name else "1K"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if "_before_setup" in item.name:
        item.add_marker(pytest.mark.budget(macs="1K"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item):
    if "_around_the_call" in item.name:
        item.add_marker(pytest.mark.budget(macs="1K"))
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run coroutines, as plugins for them do."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def pytest_runtest_protocol(item, nextitem):
    """Run a test once more if it fails, as plugins for flaky tests do."""
    if "_once_more" not in item.name:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
