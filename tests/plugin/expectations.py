"""What must become of each case in ``behaviours/``, as the comments above the cases say it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from .junit import outcome

EXPECT = re.compile(r" *# expect (passed|failed|error|skipped|xfailed): (.+)")
AND = re.compile(r" *# and: (.+)")
CASE = re.compile(r" *(?:async )?def (test_\w+)\(")


@dataclass(frozen=True)
class Expectation:
    """The outcome of one case and what its report must say; without a comment above the case there is no outcome."""

    module: str
    name: str
    place: str
    outcome: str
    says: tuple[str, ...]

    def is_of(self, case: ElementTree.Element) -> bool:
        """Whether a testcase of JUnit is this case; its class may stand between module and name."""
        name = (case.get("name") or "").partition("[")[0]
        return name == self.name and f"{case.get('classname')}.".startswith(f"{self.module}.")

    def unmet(self, case: ElementTree.Element) -> list[str]:
        """Return what the comment says, and the testcase does not."""
        found = outcome(case)
        wrong = [] if found == self.outcome else [f"{self.outcome or 'a comment that expects something'}, not {found}"]
        return wrong + [text for text in self.says if not _says(case, text)]


def read_expectations(folder: Path) -> Iterator[Expectation]:
    """Yield the expectations in a folder, line by line: a file that Python cannot read has its cases all the same."""
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder)
        expected, says = "", list[str]()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if begins := EXPECT.fullmatch(line):
                expected, says = begins[1], [begins[2]]
            elif goes_on := AND.fullmatch(line):
                says.append(goes_on[1])
            elif case := CASE.match(line):
                module = ".".join(relative.with_suffix("").parts)
                yield Expectation(module, case[1], f"{relative}:{number}", expected, tuple(says))
                expected, says = "", []


def _says(case: ElementTree.Element, text: str) -> bool:
    properties = {one.get("name", ""): one.get("value", "") for one in case.iter("property")}
    if text == "no properties":
        return not properties
    if text.startswith("no modelbudget."):
        return text.removeprefix("no ") not in properties
    if text.startswith("not "):
        return text.removeprefix("not ") not in _report(case)
    if text.startswith("modelbudget."):
        name, _, value = text.partition(" = ")
        return properties.get(name) == value
    return text in _report(case)


def _report(case: ElementTree.Element) -> str:
    """Return what a testcase says, without the lines of source in its tracebacks: they say what the case itself does."""
    lines = "\n".join(case.itertext()).splitlines()
    said = [line for line in lines if not line.startswith((">", "    ")) or line.lstrip().startswith("|")]  # of a group
    return "\n".join([*said, *(part.get("message", "") for part in case)])
