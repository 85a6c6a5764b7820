"""Write what a run measured into the lock file: the new baseline."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from pytest_modelbudget.budgets.merging import budget_for
from pytest_modelbudget.files import write_whole
from pytest_modelbudget.measurement import Measurement
from pytest_modelbudget.metrics import needing
from pytest_modelbudget.reports.lock_notes import notes_on_missing, notes_on_update
from pytest_modelbudget.reports.wording import why_incomplete
from pytest_modelbudget.results import Run, gather
from pytest_modelbudget.results.baseline import Lock, pruned, updated, write_lock
from pytest_modelbudget.session.state import Session


def update_lock(session: Session, run: Run) -> None:
    """Rewrite the lock file as the options ask for, and note what was done."""
    file, mode = session.lock_file, session.config.getoption("modelbudget_update")
    prunes = session.config.getoption("modelbudget_prune")
    if file is None or not (mode or prunes):
        return
    before = session.lock or Lock(flops_per_mac=session.table.flops_per_mac)
    after, passed = before, {*_passed(session)}
    if mode:
        after = updated(after, _accepted(session, run, passed), lower=mode == "lower")
    session.prune_refused = _why_not_to_prune(session, run) if prunes else ""
    if prunes and not session.prune_refused:
        after = pruned(after, [model.measurement for model in run.models if model.verdict.named])
    text = write_lock(after)
    rewritten = text != file.text and (bool(after.models) or file.text is not None)
    if rewritten:
        write_whole(file.path, text)
    session.notes += [
        *notes_on_update(file.shown, before, after, rewritten=rewritten),
        *notes_on_missing(run, passed if mode else None),
    ]


def _why_not_to_prune(session: Session, run: Run) -> str:
    """Return why what this run did not measure may be measured by another one, if it may.

    A test that failed may have measured more, had it gone on.
    """
    if not run.complete:
        return "; ".join(why_incomplete(run))
    failed = sorted(session.failed)
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    return f"{failed[0]}{more} failed, and may measure more when passing" if failed else ""


def _passed(session: Session) -> Iterator[str]:
    """Yield the tests whose measurements are accepted: they failed, skipped and expected nothing, not even in part."""
    for test, found in session.tests.items():
        if not (test in session.failed or test in session.skipped_in_part or found.skipped or found.excused):
            yield test


def _accepted(session: Session, run: Run, passed: set[str]) -> list[Measurement]:
    """Return what tests that passed have measured, under a name that was given to one model alone."""
    # One of two different models of this name is a mistake, and nothing says which.
    contradictory = {model.name for pair in run.contradictions for model in pair}
    models = gather({test: session.tests[test] for test in passed}).models
    found = [model.measurement for model in models if model.verdict.named and model.name not in contradictory]
    return [_without_sizes_of_files(session, one) for one in found]


def _without_sizes_of_files(session: Session, measurement: Measurement) -> Measurement:
    """Return what the lock file keeps: sizes of files hold names and stamps, so they need a growth in the table."""
    growths = budget_for(session.table, (measurement.name,)).growths
    return structs.replace(
        measurement, **{metric: None for metric in needing("file", "saving") if growths.get(metric) is None}
    )
