"""Read JUnit files."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree


def cases_of(junit: Path) -> dict[str, ElementTree.Element]:
    """Return the cases_of of a JUnit file by class and name."""
    cases = ElementTree.parse(junit).getroot().iter("testcase")
    return {f"{case.get('classname')}::{case.get('name')}": case for case in cases}


def outcome(case: ElementTree.Element) -> str:
    for kind, name in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
        found = case.find(kind)
        if found is not None:
            return "xfailed" if found.get("type") == "pytest.xfail" else name
    return "passed"


def properties(junit: Path) -> dict[str, dict[str, str]]:
    """Return the properties of each testcase."""
    return {
        name: {one.get("name", ""): one.get("value", "") for one in case.iter("property")}
        for name, case in cases_of(junit).items()
    }


def counts(junit: Path) -> dict[str, int]:
    suite = next(ElementTree.parse(junit).getroot().iter("testsuite"))
    return {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
