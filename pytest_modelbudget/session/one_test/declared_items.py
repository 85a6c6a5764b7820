"""The models that the table declares, as items of pytest: ``pyproject.toml::resnet50``."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import traceback
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pluggy
import pytest

from pytest_modelbudget.budgets import BudgetError, BudgetExceeded, DeclaredModel
from pytest_modelbudget.factories import FactoryError, builder, described
from pytest_modelbudget.files import shown_from
from pytest_modelbudget.measurement import MeasurementError
from pytest_modelbudget.session.files.in_use import is_same_file, runs_declared, table_file
from pytest_modelbudget.session.one_test import DECLARED
from pytest_modelbudget.session.one_test.deciding import GIVES_UP
from pytest_modelbudget.session.one_test.fixture import ModelBudget
from pytest_modelbudget.session.one_test.source_lines import raise_at
from pytest_modelbudget.session.state import SESSION

_MACHINERY = [
    Path(__file__).parents[2],
    *(Path(module.__file__ or "").parent for module in (pluggy, importlib)),
    Path(inspect.getfile(pytest.Item)).parent,
    Path(contextlib.__file__),
]
"""Where the code is that stands between the runner of tests and the project."""


class DeclaredModels:
    """The hooks of a project whose table declares models."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.File | None:
        """Collect the declared models where the file with the table is collected."""
        is_table = file_path.name == self.path.name and is_same_file(file_path, self.path)
        return TableFile.from_parent(parent, path=file_path) if is_table else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # registered last, so that it comes before what takes items out
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        """Add the declared models where the arguments ask for them and nothing has collected their file."""
        if runs_declared(session.config) and not any(isinstance(item, DeclaredItem) for item in items):
            nodeid = shown_from(session.config.rootpath, self.path)
            for item in TableFile.from_parent(session, path=self.path, nodeid=nodeid).collect():
                item.ihook.pytest_itemcollected(item=item)
                items.append(item)
        return (yield)


def collect_declared(config: pytest.Config) -> None:
    """See to it that the declared models are collected."""
    config.pluginmanager.register(DeclaredModels(table_file(config)), "modelbudget-declared")


class TableFile(pytest.File):
    """The file that holds the table."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each declared model, in the order of the file."""
        for declared in self.config.stash[SESSION].table.declared:
            yield DeclaredItem.from_parent(self, name=declared.name, declared=declared)


class DeclaredItem(pytest.Item):
    """The test of one declared model: build it, measure it, and hold it against its budget."""

    def __init__(self, *, declared: DeclaredModel, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.declared = declared
        self.add_marker(pytest.mark.modelbudget)
        self.stash[DECLARED] = next(self.iter_markers(pytest.mark.modelbudget.name))

    def runtest(self) -> None:
        """Measure the model. What its own code raises is shown with its traceback, and with where it is declared."""
        __tracebackhide__ = True
        try:
            model = model_of(self.declared, self.path.parent)
            ModelBudget(self).declared(self.declared, model, self.path.parent)
        except (BudgetError, BudgetExceeded, MeasurementError) as error:
            raise_at(error, self.declared.place, self.config, self.name)
        except GIVES_UP as given_up:
            raise_at(self._given_up(given_up), self.declared.place, self.config, self.name)
        except Exception as error:
            from pytest_modelbudget.counting.asking.notes_on_errors import add_note

            add_note(error, self._declaration())
            frames = traceback.walk_tb(error.__traceback__)
            if all(_is_machinery(Path(frame.f_code.co_filename)) for frame, _ in frames):
                raise_at(error, self.declared.place, self.config, self.name)
            raise

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what is shown of a failure: of its traceback what is the project's own."""
        excinfo.traceback = excinfo.traceback.filter(lambda entry: not _is_machinery(Path(entry.path)))
        return super().repr_failure(excinfo, style)

    def _given_up(self, raised: BaseException) -> BudgetError:
        """Return the failure of a model whose code called skip or xfail, which would leave it without a guard."""
        called = "xfail" if isinstance(raised, pytest.xfail.Exception) else "skip"
        error = BudgetError(
            f"{self.name} was not measured: the code of {self.declared.factory} called {called}: {raised}\n"
            f"{self._declaration()}"
        )
        error.__suppress_context__ = True
        return error

    def _declaration(self) -> str:
        how = self.declared
        what = how.artifact or described(how.factory, how.positional, how.arguments)
        return f"{self.name} is {what}, declared at {how.place}"

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the line of the declaration."""
        line = self.declared.place.line
        return self.path, None if line is None else line - 1, self.name

    def _initrequest(self) -> None:
        """Do nothing: plugins that run a test again call this on every item."""


def model_of(declared: DeclaredModel, folder: Path) -> Callable[[], Any] | Path:
    """Return the file of a declared model, or what builds it. Raises BudgetError where a name cannot be imported."""
    __tracebackhide__ = True
    if declared.artifact:
        return folder / declared.artifact
    try:
        return builder(declared.factory, declared.positional, declared.arguments, folder)
    except FactoryError as error:
        raise BudgetError(str(error)) from None


def _is_machinery(path: Path) -> bool:
    return str(path).startswith("<frozen ") or any(place in (path, *path.parents) for place in _MACHINERY)
