"""What is said below the summary of a lock file that was rewritten."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pytest_modelbudget.reports.wording import counted
from pytest_modelbudget.results import Run
from pytest_modelbudget.results.baseline import Lock


def notes_on_update(shown: str, before: Lock, after: Lock, *, rewritten: bool) -> Iterator[str]:
    """Yield what was changed in the lock file that people know as ``shown``; perhaps ``rewritten``."""
    old, new = dict(_models(before)), dict(_models(after))
    changes = {
        "added": len(new.keys() - old.keys()),
        "changed": sum(old[key] != new[key] for key in old.keys() & new.keys()),
        "removed": len(old.keys() - new.keys()),
    }
    done = ", ".join(f"{number} {word}" for word, number in changes.items() if number)
    done = done or ("the same numbers in the format of this version" if rewritten else "")
    yield f"{shown}: {done or 'nothing to change'}; {counted(len(new), 'entry', 'entries')}"
    if done:
        yield f"Commit it: git add {shown}"


def notes_on_missing(run: Run, passed: Collection[str] | None) -> Iterator[str]:
    """Yield which models of a run are not in its lock file, and why.

    ``passed`` are the tests that passed, where what they measured was accepted.
    """
    failed = [] if passed is None else [model.name for model in run.models if {*passed}.isdisjoint(model.tests)]
    if failed:
        yield f"Not accepted, for their tests did not pass: {', '.join(sorted({*failed}))}"
    unnamed = {model.name for model in run.models if not model.verdict.named}
    if unnamed:
        yield f'Not in the lock file, for they have no name of their own (name="..."): {", ".join(sorted(unnamed))}'


def _models(lock: Lock) -> Iterator[tuple[tuple[str, tuple[str, ...]], object]]:
    for name, models in lock.models.items():
        for model in models:
            yield (name, model.inputs), model
