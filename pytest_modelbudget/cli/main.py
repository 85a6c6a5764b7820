"""The command line. Exit codes: 0, 1 where a model grew, 2 for what cannot be done."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

import msgspec

from pytest_modelbudget.budgets.errors import MalformedLimit
from pytest_modelbudget.budgets.growth import Growth, parse_growth
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.cli.sources import SourceError, measurements
from pytest_modelbudget.reports.comparison import as_text
from pytest_modelbudget.reports.markdown import of_comparison
from pytest_modelbudget.results.comparing import Comparison, compare


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except SourceError as error:
        print(f"modelbudget: {error}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="modelbudget", description="Compare what models cost, without running a test.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    compared = commands.add_parser(
        "compare",
        help="what was added, removed, grew or shrank between two lock files or JSON reports",
        description="Show what was added, removed, grew or shrank between two lock files or JSON reports, and where. "
        "The exit code is 1 where a model grew.",
    )
    compared.add_argument("base", metavar="BASE", help="a file, - for standard input, or git:REV:PATH")
    compared.add_argument("head", metavar="HEAD", help="the same")
    compared.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    compared.add_argument("--growth", type=_growth, default="0%", metavar="PERCENT", help="the rise that is allowed")
    compared.set_defaults(run=_compare)
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"modelbudget: {message}\n")


def _growth(text: str) -> Growth:
    try:
        return parse_growth(text, Place("--growth"))
    except MalformedLimit as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _compare(options: argparse.Namespace) -> int:
    if options.base == options.head == "-":
        raise SourceError("only one of the two can be standard input")
    (base, base_convention), (head, head_convention) = measurements(options.base), measurements(options.head)
    if base_convention != head_convention:
        raise SourceError(
            f"{options.base} counts {base_convention} FLOPs a MAC and {options.head} {head_convention}: two "
            "conventions are never compared"
        )
    found = compare(base, head, options.growth)
    print(_formatted(found, options.format), end="")
    return int(any(one.kind == "grown" for one in found))


def _formatted(found: list[Comparison], kind: str) -> str:
    if kind == "json":
        return msgspec.json.format(msgspec.json.encode({"schema": 1, "models": found}), indent=2).decode() + "\n"
    return of_comparison(found) if kind == "markdown" else as_text(found)
