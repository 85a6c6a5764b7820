"""Entries that declare models: taken from other entries, with every mistake named."""

from __future__ import annotations

import pytest

from pytest_modelbudget.budgets import DeclaredModel, TableError
from pytest_modelbudget.budgets.config import table_from
from pytest_modelbudget.budgets.config_file import lines_of, tomllib

EIGHT = "inputs = '1x8'"
GPT = """
[tool.modelbudget.models.gpt2]
factory = "zoo:GPT"
arguments = { name = "gpt2", bias = true }
inputs = "1x8 int64"
train = true
macs = "1G"
message = "small"
[tool.modelbudget.models.gpt2.modules.head]
params = 3
"""


def declared(text: str) -> dict[str, DeclaredModel]:
    document = tomllib.loads(text)
    table = table_from(document, "pyproject.toml", lines_of(text, document))
    return {one.name: one for one in table.declared}


def mistakes(text: str) -> list[str]:
    with pytest.raises(TableError) as caught:
        declared(text)
    return caught.value.mistakes


def test_an_entry_takes_what_declares_from_another_and_never_its_limits() -> None:
    text = f"{GPT}\n[tool.modelbudget.models.xl]\nlike = 'gpt2'\narguments = {{ name = 'xl' }}\ninputs = '1x9 int64'\n"
    xl = declared(text)["xl"]
    assert (xl.factory, xl.arguments, xl.inputs, xl.train) == (
        "zoo:GPT",
        {"name": "xl", "bias": True},
        "1x9 int64",
        True,
    )
    assert str(xl.place) == "pyproject.toml:13 [tool.modelbudget.models.xl]"
    rules = table_from(tomllib.loads(text), "pyproject.toml", {}).models["xl"]
    assert (dict(rules.limits), rules.message, rules.parts) == ({}, None, ())


def test_entries_may_be_like_others_that_are_like_others() -> None:
    text = (
        f"{GPT}\n[tool.modelbudget.models.large]\nlike = 'xl'\narguments = {{ layers = 36 }}\n"
        "[tool.modelbudget.models.xl]\nlike = 'gpt2'\narguments = { name = 'xl', layers = 48 }\nfactory = 'zoo:XL'\n"
    )
    large = declared(text)["large"]
    assert (large.factory, large.arguments) == ("zoo:XL", {"name": "xl", "bias": True, "layers": 36})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("like = 'gpt'", "is the name of another entry that declares a model, not 'gpt'; did you mean gpt2?"),
        ("like = 3", "is the name of another entry that declares a model, not 3"),
        ("like = 'limits'", "is the name of another entry that declares a model, not 'limits'"),
        ("like = 'net'", "goes in a circle: net is like net"),
        ("like = 'other'", "goes in a circle: net is like other is like net"),
        ("like = 'gpt2'\nscaling = { macs = 'linear' }", "needs inputs with a range of sizes"),
        ("like = 'gpt2'\ndtype = 'int8'", "is one of float32, float16"),
        ("factory = 'zoo:GPT'\npositional = 3", "positional is an array of arguments, not 3"),
        ("factory = 'zoo:GPT'\npositional = [2026-11-30]", "positional holds strings, numbers"),
        ("factory = 'zoo:GPT'\narguments = { a = { object = 'torch' } }", 'arguments.a.object is "module:attribute"'),
        (
            "factory = 'zoo:GPT'\narguments = { a = [{ factory = 'z:C', arguments = { b = { factory = 'C' } } }] }",
            'arguments.a.arguments.b.factory is "module:attribute"',
        ),
        (
            "factory = 'zoo:GPT'\narguments = { a = { factory = 'z:C', positional = 3 } }",
            "arguments.a.positional is an",
        ),
        ("factory = 'zoo:GPT'\ntrain = 1", "train is true or false, not 1"),
        ("factory = 'zoo:GPT'\ninputs = [1, 3, 8, 8]", 'a shape is written "1x3x8x8"'),
    ],
)
def test_mistakes(text: str, says: str) -> None:
    others = "[tool.modelbudget.models.limits]\nmacs = 1\n[tool.modelbudget.models.other]\nlike = 'net'\n"
    if "other" not in text:
        others = others.partition("[tool.modelbudget.models.other]")[0]
    found = mistakes(f"{GPT}\n{others}[tool.modelbudget.models.net]\n{text}\n")
    assert says in found[-1]


def test_a_mistake_is_named_once_where_it_stands() -> None:
    text = f"{GPT.replace('1x8 int64', '1x8 int46')}\n[tool.modelbudget.models.xl]\nlike = 'gpt2'\n"
    assert len(mistakes(text)) == 1


@pytest.mark.parametrize(
    ("base", "text", "says"),
    [
        ("inputs = '1x{1,2}'\nscaling = { macs = 'linear' }", "inputs = '1x8'", 'like = "base": scaling needs inputs'),
        ("", "artifact = 'x.safetensors'\nbackward = false", 'like = "base": inputs are for what can be run'),
    ],
)
def test_what_is_wrong_with_two_entries_alone_is_told_too(base: str, text: str, says: str) -> None:
    base = f"[tool.modelbudget.models.base]\nfactory = 'zoo:GPT'\n{base or EIGHT}\n"
    found = mistakes(f"{base}[tool.modelbudget.models.net]\nlike = 'base'\n{text}\n")
    assert [one for one in found if says in one] == found


def test_a_pattern_is_like_no_model() -> None:
    found = mistakes(f"{GPT}\n[tool.modelbudget.models.'xl*']\nlike = 'gpt2'\n")
    assert "declares one model, and this entry is a pattern" in found[0]


def test_a_factory_takes_the_place_of_an_artifact() -> None:
    text = "[tool.modelbudget.models.old]\nartifact = 'x.pt2'\n[tool.modelbudget.models.net]\nlike = 'old'\n"
    net = declared(f"{text}factory = 'zoo:GPT'\narguments = {{ name = 'xl' }}\n")["net"]
    assert (net.factory, net.artifact, net.arguments) == ("zoo:GPT", "", {"name": "xl"})
