"""The exceptions of a model come out as the model raised them, soon, and with what helps to understand them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from pytest_modelbudget import measure

from .shape_run.model import Model, rows


def raised(model: Any, *args: Any, **options: Any) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        measure(model, *args, **options)
    return caught.value


def last_line(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    assert last.filename == __file__
    return last.line or ""


def notes(error: BaseException) -> str:
    return "\n".join(getattr(error, "__notes__", []))


# -- the error is the model's own --------------------------------------------------------------------------------------


class Holds(Exception):
    def __init__(self, *held: Any) -> None:
        super().__init__("holds")
        self.held = held


class HoldsInSlots(Exception):
    __slots__ = ("held",)


def typo(self: Model, x: torch.Tensor) -> torch.Tensor:
    return self.linear(x).reul()  # type: ignore[operator]


def typo_of_the_module(self: Model, x: torch.Tensor) -> torch.Tensor:
    return self.liner(x)  # type: ignore[operator]


def unknown_name(self: Model, x: torch.Tensor) -> torch.Tensor:
    return undefined(self.linear(x))  # type: ignore[name-defined]  # noqa: F821


def tensor_in_args(self: Model, x: torch.Tensor) -> torch.Tensor:
    raise ValueError("bad", self.linear(x))


def tensor_in_attribute(self: Model, x: torch.Tensor) -> torch.Tensor:
    raise Holds(x, [self.linear(x)])


def tensor_in_slot(self: Model, x: torch.Tensor) -> torch.Tensor:
    error = HoldsInSlots("slot")
    error.held = x  # type: ignore[misc]
    raise error


def stopped_generator(self: Model, x: torch.Tensor) -> torch.Tensor:
    def generate() -> Iterator[torch.Tensor]:
        yield x
        return self.linear(x)

    steps = generate()
    next(steps)
    next(steps)
    return x


def missing_key(self: Model, x: torch.Tensor) -> torch.Tensor:
    return {0: x}[x]  # type: ignore[index]


def chained(self: Model, x: torch.Tensor) -> torch.Tensor:
    try:
        raise Holds(x)
    except Holds as error:
        raise RuntimeError("chained") from error


class NoGroup(Exception):
    exceptions = None


class FailsWhenAsked(Exception):
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def no_group(self: Model, x: torch.Tensor) -> torch.Tensor:
    raise NoGroup


def fails_when_asked(self: Model, x: torch.Tensor) -> torch.Tensor:
    raise FailsWhenAsked


FORWARDS = [
    (typo, AttributeError),
    (typo_of_the_module, AttributeError),
    (unknown_name, NameError),
    (tensor_in_args, ValueError),
    (tensor_in_attribute, Holds),
    (tensor_in_slot, HoldsInSlots),
    (stopped_generator, StopIteration),
    (missing_key, KeyError),
    (chained, RuntimeError),
    (no_group, NoGroup),
    (fails_when_asked, FailsWhenAsked),
]


@pytest.mark.parametrize(("forward", "kind"), FORWARDS)
@pytest.mark.parametrize("given", ["instance", "factory", "meta"])
@pytest.mark.parametrize("backward", [False, True])
def test_an_error_that_holds_tensors_comes_out_unchanged(
    forward: Any, kind: type[Exception], given: str, backward: bool
) -> None:
    def on_meta() -> Model:
        with torch.device("meta"):
            return Model(forward)

    model: Any = {"instance": Model(forward), "factory": lambda: Model(forward), "meta": on_meta()}[given]
    error = raised(model, rows(3), backward=backward)
    assert type(error) is kind
    assert last_line(error)
    assert traceback.extract_tb(error.__traceback__)[-1].name == forward.__name__
    assert "while measuring Model with args[0] 3x4 float32" in str(vars(error).get("__notes__"))


def test_exception_groups() -> None:
    groups = pytest.importorskip("builtins")
    if not hasattr(groups, "ExceptionGroup"):
        pytest.skip("ExceptionGroup came with Python 3.11")

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        raise groups.ExceptionGroup("several", [Holds(x), AttributeError("typo", name="y", obj=x)])

    with torch.device("meta"):
        model = Model(forward)
    for given in (Model(forward), model):
        error: Any = raised(given, rows(3))
        assert [type(one) for one in error.exceptions] == [Holds, AttributeError]


def test_a_typo_in_the_constructor() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.twice = self.liner.weight * 2

    error = raised(Net, rows(3))
    assert (type(error), last_line(error)) == (AttributeError, "self.twice = self.liner.weight * 2")
    assert "while building Net" in notes(error)


@pytest.mark.parametrize("given", ["instance", "meta"])
@pytest.mark.parametrize("inside", [False, True])
def test_cause_context_and_their_suppression_stay(given: str, inside: bool) -> None:
    def forward(self: Model, x: torch.Tensor, how: str = "") -> torch.Tensor:
        try:
            raise KeyError("first")
        except KeyError as error:
            if self.how == "none":
                raise ValueError("second") from None
            if self.how == "cause":
                raise ValueError("second") from error
            raise ValueError("second")  # noqa: B904

    with torch.device("meta" if given == "meta" else "cpu"):
        model: Any = Model(forward)
    found = {}
    for how in ("none", "cause", "context"):
        model.how = how
        try:
            if inside:
                raise LookupError("outer")
            error = raised(model, rows(3))
        except LookupError:
            error = raised(model, rows(3))
        found[how] = (type(error.__cause__), type(error.__context__), error.__suppress_context__)
    assert found == {
        "none": (type(None), KeyError, True),
        "cause": (KeyError, KeyError, True),
        "context": (type(None), KeyError, False),
    }


def test_an_error_without_cause_has_none_afterwards() -> None:
    for run in (False, True):
        with torch.device("meta" if run else "cpu"):
            model = Model(typo)
        error = raised(model, rows(3))
        assert (error.__cause__, error.__context__, error.__suppress_context__) == (None, None, False)


def test_one_exception_object_raised_twice_has_one_note() -> None:
    only = ValueError("the same object")

    def forward(self: Model, x: torch.Tensor) -> torch.Tensor:
        raise only

    model = Model(forward)
    assert raised(model, rows(3)) is only
    assert raised(model, rows(3)) is only
    assert len(only.__notes__) == 1


# -- what the notes say ------------------------------------------------------------------------------------------------


def test_the_note_of_an_input_size_says_that_it_includes_the_batch() -> None:
    error = raised(nn.Conv2d(3, 8, 3), input_size=(16, 16))
    assert notes(error) == "while measuring Conv2d with args[0] 16x16 float32; input_size includes the batch dimension"


def test_the_note_names_keywords_too() -> None:
    error = raised(Model(lambda self, x, y: x @ y), (rows(3),), {"y": torch.ones(3)})
    assert notes(error) == "while measuring Model with args[0] 3x4 float32, kwargs['y'] 3 float32"


def test_a_class_that_needs_arguments_is_told_how() -> None:
    class Net(nn.Module):
        def __init__(self, cfg: Any, width: int, depth: int = 2) -> None:
            super().__init__()

    error = raised(Net, input_size=(1, 4))
    assert isinstance(error, TypeError)
    assert "missing 2 required positional arguments" in str(error)
    assert "Net needs arguments: pass lambda: Net(cfg, width)" in notes(error)


def test_a_factory_that_needs_arguments_is_told_how() -> None:
    def make(width: int) -> nn.Module:
        return nn.Linear(width, width)

    assert "make needs arguments: pass lambda: make(width)" in notes(raised(make, input_size=(1, 4)))


def test_a_type_error_inside_a_class_without_arguments_says_nothing_of_arguments() -> None:
    def make() -> nn.Module:
        return nn.Linear(4)  # type: ignore[call-arg]

    assert "needs arguments" not in notes(raised(make, input_size=(1, 4)))


def test_integer_inputs_are_explained_where_input_size_gave_floats() -> None:
    error = raised(nn.Embedding(10, 4), input_size=(1, 8))
    assert "input_size gives floating-point inputs" in notes(error)
    assert 'input_size="1x8 int64"' in notes(error)


def test_a_dtype_other_than_that_of_the_weights_is_named() -> None:
    error = raised(nn.Linear(4, 4), torch.ones(3, 4, dtype=torch.float64))
    assert "the weights are float32" in notes(error)
    assert "weights are" not in notes(raised(nn.Linear(4, 4), torch.ones(3, 5)))
