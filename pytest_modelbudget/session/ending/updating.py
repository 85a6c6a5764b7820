"""Accept what a run measured as the new baseline."""

from __future__ import annotations

from pytest_modelbudget.measurement import Measurement
from pytest_modelbudget.reports.wording import counted, why_incomplete
from pytest_modelbudget.results import Run, TestResult, gather
from pytest_modelbudget.results.baseline import Lock, pruned, updated, write_lock
from pytest_modelbudget.session.ending.completeness import advice
from pytest_modelbudget.session.files.lock_file import PRUNE, LockFile, writes
from pytest_modelbudget.session.state import Session


def accept(session: Session, run: Run) -> None:
    """Rewrite the lock file as the options ask for, and note what was done. Raises pytest.UsageError."""
    file, mode = session.lock_file, session.config.getoption("modelbudget_update")
    prunes = session.config.getoption("modelbudget_prune")
    if file is None or not (mode or prunes):
        return
    before = session.lock or Lock(flops_per_mac=session.table.flops_per_mac)
    after = before
    if mode:
        after = updated(after, _accepted(session, run), lower=mode == "lower")
    session.prune_refused = _why_not_to_prune(session, run) if prunes else ""
    if prunes and not session.prune_refused:
        after = pruned(after, [model.measurement for model in run.models if model.verdict.named])
    text = write_lock(after)
    if text != file.text and (after.models or file.text is not None):
        file.write(text)
    session.notes += _notes(session, run, file, before, after)


def note_stopped(session: Session) -> None:
    """Note that a run which was stopped accepts nothing, if it was asked to."""
    if session.lock_file is not None and writes(session.config):
        session.notes.append(f"{session.lock_file.shown}: not updated, for the run was stopped before its end")


def _why_not_to_prune(session: Session, run: Run) -> str:
    """Return why what this run did not measure may be measured by another one, if it may.

    A test that failed may have measured more, had it gone on.
    """
    if not run.complete:
        missing = run.details.get("not collected")
        return "; ".join(why_incomplete(run)) + (advice(session.config, missing) if missing else "")
    failed = sorted(session.failed)
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    return f"{failed[0]}{more} failed, and may measure more when passing" if failed else ""


def _accepted(session: Session, run: Run) -> list[Measurement]:
    """Return what tests that passed have measured, under a name that was given to one model alone."""
    contradictory = {model.name for pair in run.contradictions for model in pair}
    passed = gather({test: found for test, found in session.tests.items() if _has_passed(session, test, found)})
    models = [model for model in passed.models if model.verdict.named and model.name not in contradictory]
    return [model.measurement for model in models]


def _has_passed(session: Session, test: str, found: TestResult) -> bool:
    return not (test in session.failed or test in session.skipped_in_part or found.skipped or found.excused)


def _notes(session: Session, run: Run, file: LockFile, before: Lock, after: Lock) -> list[str]:
    old, new = dict(_models(before)), dict(_models(after))
    changes = {
        "added": len(new.keys() - old.keys()),
        "changed": sum(old[key] != new[key] for key in old.keys() & new.keys()),
        "removed": len(old.keys() - new.keys()),
    }
    done = ", ".join(f"{number} {word}" for word, number in changes.items() if number)
    notes = [f"{file.shown}: {done or 'nothing to change'}; {counted(len(new), 'entry', 'entries')}"]
    notes += [f"Commit it: git add {file.shown}"] if done else []
    passed = {test for test, found in session.tests.items() if _has_passed(session, test, found)}
    failed = sorted({model.name for model in run.models if passed.isdisjoint(model.tests)})
    if failed and session.config.getoption("modelbudget_update"):
        notes.append(f"Not accepted, for their tests did not pass: {', '.join(failed)}")
    unnamed = sorted({model.name for model in run.models if not model.verdict.named})
    if unnamed:
        notes.append(f'Not in the lock file, for they have no name of their own (name="..."): {", ".join(unnamed)}')
    if session.prune_refused:
        notes.append(f"{PRUNE}: nothing was removed, for {session.prune_refused}")
    return notes


def _models(lock: Lock) -> list[tuple[tuple[str, tuple[str, ...]], object]]:
    return [((name, model.inputs), model) for name, models in lock.models.items() for model in models]
