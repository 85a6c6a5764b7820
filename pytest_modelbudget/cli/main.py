"""The command line. Exit codes: 0, 1 where a model grew or is not counted whole, 2 for what cannot be done."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from pytest_modelbudget.budgets.errors import MalformedLimit
from pytest_modelbudget.budgets.growth import Growth, parse_growth
from pytest_modelbudget.budgets.places import Place
from pytest_modelbudget.cli.screen import show
from pytest_modelbudget.cli.sources import SourceError, measurements, stored_run, write
from pytest_modelbudget.reports.comparison import as_lines
from pytest_modelbudget.reports.faults import faults, faults_of_run
from pytest_modelbudget.reports.formats import FORMATS
from pytest_modelbudget.reports.html import lacks
from pytest_modelbudget.reports.lines import Line, not_measured
from pytest_modelbudget.reports.markdown import Base, of_comparison, of_run, violations
from pytest_modelbudget.reports.terminal import summary
from pytest_modelbudget.results import Run, merge
from pytest_modelbudget.results.comparing import Comparison, compare
from pytest_modelbudget.results.comparing import of_run as measured_in
from pytest_modelbudget.results.store import write_report

_PIPE_CLOSED = (errno.EPIPE, errno.EINVAL)
"""What a system says of a pipe that nobody reads; the second is the word of Windows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code; what nobody expected is 2 too, for 1 says that a model grew."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):  # people read text in their own encoding, programs all else in UTF-8
        encoding, newline = (sys.stdout.encoding, None) if getattr(options, "format", "") == "text" else ("utf-8", "")
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace", newline=newline)
    try:
        code: int = options.run(options)
        print(end="", flush=True)  # which does nothing where standard output is closed
    except SourceError as error:
        return _cannot(str(error))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _PIPE_CLOSED:  # whoever read has seen enough
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # flushed at the end
            return 2
        if getattr(options, "verbose", False):
            traceback.print_exc()
        return _cannot(f"{type(error).__name__}: {error}")
    return code


def _cannot(why: str) -> int:
    print(f"modelbudget: {' '.join(why.split())}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="modelbudget", description="Measure and compare what models cost, without running a test.")
    parser.add_argument("--version", action="version", version=f"modelbudget {version('pytest-modelbudget')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    compared = commands.add_parser(
        "compare",
        help="what was added, removed, grew or shrank between two lock files or JSON reports",
        description="Show what was added, removed, grew or shrank between two lock files or JSON reports, and where. "
        "The exit code is 1 where a model grew.",
    )
    compared.add_argument("base", metavar="BASE", help="a file, - for standard input, or git:REV:PATH")
    compared.add_argument("head", metavar="HEAD", help="the same")
    compared.add_argument("--format", choices=("text", "markdown", "json", "count"), default="text")
    compared.add_argument("--growth", type=_growth, default="0%", metavar="PERCENT", help="the rise that is allowed")
    compared.set_defaults(run=_compare)
    shown = commands.add_parser("show", help="render a stored JSON report in any format")
    shown.add_argument("report", metavar="REPORT", help="a JSON report, - for standard input, or git:REV:PATH")
    shown.add_argument("--format", choices=("text", *FORMATS, "count", "lock"), default="text")
    shown.add_argument("--base", metavar="BASE", help="what Markdown compares with: a lock file, or a JSON report")
    shown.add_argument("--between", metavar="WORDS", default="", help="what Markdown calls the two: this and BASE")
    shown.add_argument("--no-base", metavar="REASON", default="", help="why there is nothing to compare with")
    shown.add_argument("--width", type=int, default=80, metavar="COLUMNS", help="of the text (default: 80)")
    shown.set_defaults(run=_show)
    _add_measuring(commands)
    merged = commands.add_parser(
        "merge",
        help="join the JSON reports of the shards of a run",
        description="Join the JSON reports of the shards of a run, and judge what only all of them show. The exit code "
        "is 1 where a shard is missing, an entry is stale, or two shards gave one name to two models.",
    )
    merged.add_argument("reports", metavar="REPORT", nargs="+", help="the JSON report of a shard")
    merged.add_argument("--output", metavar="FILE", help="where to write the joined report (default: standard output)")
    merged.set_defaults(run=_merge)
    return parser


def _add_measuring(commands: Any) -> None:
    measured = commands.add_parser(
        "measure",
        help="measure what factories build, and print a table for pyproject.toml",
        description="Import each factory, build its model without weights, and measure it. The exit code is 1 where a "
        "count is only a lower bound.",
    )
    measured.add_argument(
        "--depth", type=int, metavar="N", help="levels of the module tree (default: what 40 lines fit)"
    )
    measured.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    measured.set_defaults(run=_measure)
    written = commands.add_parser(
        "init",
        help="write entries for factories into [tool.modelbudget], with limits that they just keep",
        description="Measure each factory, and write an entry for it into the table; an entry that exists is left.",
    )
    written.add_argument("--config", default="pyproject.toml", metavar="PATH", help="(default: pyproject.toml)")
    written.set_defaults(run=_init)
    for parser in (measured, written):
        _add_model_options(parser)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add what says which models are built and how they are called, as the keys of an entry do."""
    parser.add_argument(
        "factories", metavar="MODULE:FACTORY", nargs="+", help="acme.models:ResNet50, or a .pt2 or .safetensors file"
    )
    parser.add_argument(
        "--inputs",
        action="extend",
        nargs="+",
        default=[],
        metavar="INPUT",
        help='1x3x224x224, "1x128 int64", module:function, or keyword=INPUT; several for several inputs',
    )
    parser.add_argument(
        "--positional", action="extend", nargs="+", default=[], metavar="VALUE", help="arguments of the factory"
    )
    parser.add_argument(
        "--arguments", action=_Arguments, nargs="+", default=[], metavar="NAME=VALUE", help="of the factory"
    )
    parser.add_argument(
        "--name",
        action=_Name,
        dest="variants",
        default=[],
        metavar="NAME",
        help="of a model; several for variants, with the --arguments of each behind its name",
    )
    parser.add_argument("--dtype", metavar="DTYPE", help="to which the weights are cast, as in bfloat16")
    parser.add_argument("--train", action="store_true", help="measure in train mode instead of eval mode")
    parser.add_argument("--memory", action="store_true", help="measure the peak memory of activations too")
    parser.add_argument(
        "--ranks", type=int, metavar="N", help="of a factory that shards its model: measure rank 0 of N"
    )
    parser.add_argument(
        "--cache", type=int, metavar="N", help="of a language model: measure a decode step at N cached tokens"
    )
    parser.add_argument("--optimizer", metavar="MODULE:CLASS", help="measure its state too, as of torch.optim:AdamW")
    parser.add_argument("--method", default="forward", metavar="NAME", help="to run instead of forward")
    parser.add_argument("--backward", action="store_true", help="measure training MACs and FLOPs too")
    parser.add_argument("-v", "--verbose", action="store_true", help="show where the model's own code failed")


class _Name(argparse.Action):
    """Begin a variant: its name, and the arguments that follow."""

    def __call__(self, parser: Any, namespace: Any, value: Any, option: Any = None) -> None:  # noqa: ARG002
        namespace.variants = [*namespace.variants, (value, [])]


class _Arguments(argparse.Action):
    """Add arguments to the variant whose name came last; before the first name they are those of all."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:  # noqa: ARG002
        if namespace.variants:
            namespace.variants[-1][1].extend(values)
        else:
            namespace.arguments = [*namespace.arguments, *values]


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
            f"{options.base} has flops_per_mac = {base_convention} and {options.head} {head_convention}: two "
            "conventions are never compared"
        )
    found = compare(base, head, options.growth)
    if options.format == "text":
        show(as_lines(found))
    else:
        print(_formatted(found, options.format), end="")
    return int(any(one.kind == "grown" for one in found))


def _show(options: argparse.Namespace) -> int:
    lacking = lacks() if options.format == "html" else None
    if lacking:
        raise SourceError(f"--format=html {lacking}")
    run = stored_run(options.report)
    if options.format == "text":
        wrong = [fault.headline for fault in faults(run)]
        show([*summary(run, max(options.width, 1)), *map(Line, [*wrong, *filter(None, [not_measured(run)])])])
    elif options.format == "count":
        print(violations(run))
    elif options.format == "markdown":
        print(of_run(run, _base(options, run)), end="")
    elif options.format == "lock":
        print(run.lock)
    else:
        print(FORMATS[options.format][1](run), end="")
    return 0


def _base(options: argparse.Namespace, run: Run) -> Base | None:
    """Return what a run is compared with, where that is asked for."""
    if options.no_base:
        return Base(missing=options.no_base)
    if options.base is None:
        return None
    before, convention = measurements(options.base)
    if convention != run.flops_per_mac:
        return Base(missing=f"it has flops_per_mac = {convention}, and this run {run.flops_per_mac}")
    found = compare(before, measured_in(run), _growth("0%"))
    return Base({(one.name, one.inputs): one for one in found}, options.between or f"with {options.base}")


def _merge(options: argparse.Namespace) -> int:
    try:
        run = merge([stored_run(report) for report in options.reports])
    except ValueError as error:
        raise SourceError(str(error)) from None
    text = write_report(run)
    if options.output is None:
        print(text, end="")
    else:
        write(Path(options.output), text)
    missing = [f"a shard is missing: {', '.join(run.left_out)} ran in none of these"] if run.left_out else []
    wrong = [*missing, *(fault.headline for fault in faults_of_run(run))]
    for line in wrong:
        print(f"modelbudget: {line}", file=sys.stderr)
    return int(bool(wrong))


def _measure(options: argparse.Namespace) -> int:
    from pytest_modelbudget.cli.measuring import measure_all

    return measure_all(options)


def _init(options: argparse.Namespace) -> int:
    from pytest_modelbudget.cli.measuring import init

    return init(options)


def _formatted(found: list[Comparison], kind: str) -> str:
    if kind == "count":
        return f"{sum(one.kind == 'grown' for one in found)}\n"
    if kind == "json":
        return msgspec.json.format(msgspec.json.encode({"schema": 1, "models": found}), indent=2).decode() + "\n"
    return of_comparison(found)
