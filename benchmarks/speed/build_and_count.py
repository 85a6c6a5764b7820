"""Build and count, against every peer: fresh processes in strict alternation, medians, ratios first.

``python -m benchmarks.speed.build_and_count [--processes 5] [--ways ours,thop] [--models resnet50]``
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

from tabulate import tabulate

from benchmarks.speed.ways import WAYS


def run(way: str, model: str) -> dict[str, float] | None:
    """Return the seconds of one process; None where the way cannot count the model."""
    command = [sys.executable, "-m", "benchmarks.speed.child", way, model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    lines = done.stdout.strip().splitlines()
    seconds = json.loads(lines[-1]) if lines else {}
    return seconds if "first" in seconds else None


def medians(ways: list[str], model: str, processes: int) -> dict[str, dict[str, float]]:
    """Return for each way the medians over processes, which take turns."""
    found: dict[str, list[dict[str, float] | None]] = {way: [] for way in ways}
    for _ in range(processes):
        for way in ways:
            found[way].append(run(way, model))
    return {
        way: {moment: statistics.median(one[moment] for one in results if one) for moment in ("first", "again")}
        for way, results in found.items()
        if None not in results
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument(
        "--models", default="resnet50,mobilenetv2,vit_b_16,vit_l_16,convnext,swin,bert,gpt2", help="comma-separated"
    )
    options = parser.parse_args()
    ways, models = options.ways.split(","), options.models.split(",")
    rows: dict[str, list[list[str]]] = {"first": [], "again": []}
    ratios: dict[str, dict[str, list[float]]] = {"first": {}, "again": {}}
    for model in models:
        times = medians(ways, model, options.processes)
        for moment, table in rows.items():
            row = [model, f"{times['ours'][moment] * 1e3:.0f}"]
            for way in ways[1:]:
                if way not in times:
                    row.append("error")
                    continue
                ratio = times[way][moment] / times["ours"][moment]
                ratios[moment].setdefault(way, []).append(ratio)
                row.append(f"{ratio:.1f}x ({times[way][moment] * 1e3:.0f})")
            table.append(row)
    for moment, title in (("first", "The first time in a process"), ("again", "Afterwards, in the same process")):
        summary = ["median, least", ""]
        for way in ways[1:]:
            known = ratios[moment].get(way)
            summary.append(f"{statistics.median(known):.1f}x, {min(known):.1f}x" if known else "-")
        print(f"\n{title}: build + count, times slower than ours (ms); median of {options.processes} processes\n")
        print(tabulate([*rows[moment], summary], headers=["model", "ours, ms", *ways[1:]], tablefmt="github"))


if __name__ == "__main__":
    main()
