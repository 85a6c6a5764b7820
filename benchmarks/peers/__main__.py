"""Compare all counters on all conformance cases and write the table: ``python -m benchmarks.peers``."""

from __future__ import annotations

import argparse
import importlib
import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.peers.counters import COUNTERS, Call
from benchmarks.peers.isolation import isolated
from benchmarks.peers.table import write
from tests.conformance.case import Case
from tests.conformance.cases import CASES
from tests.conformance.footprint import changes, snapshot


def judged(counter: str, case: Case) -> dict[str, Any]:
    """Return what one counter says of one case, and what it leaves changed that a plain forward does not."""
    warnings.simplefilter("ignore")
    natural = changed_by_a_plain_forward(case)
    model, (args, kwargs) = case.model(), case.inputs()
    before = snapshot(model, args, kwargs)
    result: dict[str, Any] = {}
    try:
        result["macs"] = int(COUNTERS[counter](Call(case, model, args, kwargs)) or 0)
    except BaseException as error:
        result["error"] = f"{type(error).__name__}: {error}"[:200]
    left = {line.split(":")[0] for line in changes(before, snapshot(model, args, kwargs))} - natural
    result["model changed"] = sorted(path for path in left if path.startswith(("model", "input")))
    result["torch changed"] = sorted(path for path in left if not path.startswith(("model", "input")))
    return result


def changed_by_a_plain_forward(case: Case) -> set[str]:
    """Return the paths that the model itself changes when it runs, such as running statistics."""
    model, (args, kwargs) = case.model(), case.inputs()
    before = snapshot(model, args, kwargs)
    model(*args, **kwargs)
    return {line.split(":")[0] for line in changes(before, snapshot(model, args, kwargs))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(COUNTERS), choices=list(COUNTERS), metavar="COUNTER")
    parser.add_argument("--seconds", type=float, default=60, help="limit for one case")
    parser.add_argument("--details", type=Path, help="write every answer to this JSON file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for package in ("fvcore.nn", "ptflops", "thop", "torchinfo", "calflops", "torchprofile", "torch._dynamo"):
        importlib.import_module(package)  # before the processes fork, so that none of them pays for it
    cases = [case for case in CASES if not case.unavailable]
    answers = {
        counter: {case.name: isolated(partial(judged, counter, case), options.seconds) for case in cases}
        for counter in options.only
    }
    if options.details:
        options.details.write_text(json.dumps(answers, indent=1))
    write(answers, {case.name: case.macs for case in cases})


if __name__ == "__main__":
    main()
