"""Lock files that were edited, or merged badly, by hand: what no measurement would have written is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from pytest_modelbudget import Measurement, measure
from pytest_modelbudget.results.baseline import Lock, LockError, read_lock, updated, write_lock

Edit = Callable[[dict[str, Any]], object]


def build() -> nn.Module:
    return nn.Sequential(*[nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8)) for _ in range(3)])


def text_of(*measurements: Measurement) -> str:
    return write_lock(updated(Lock(), measurements))


TEXT = text_of(measure(build, input_size=(1, 8), name="net"))
TEXTS = {
    "forward": TEXT,
    "training": text_of(measure(build, input_size=(1, 8), name="net", backward=True)),
    "weights": text_of(measure(build, name="net")),
}


def edited(edit: Edit, text: str = TEXT) -> str:
    """Return the lock file with its entry, or the whole of it, edited."""
    data = json.loads(text)
    edit(data)
    return json.dumps(data, indent=2)


def refused(text: str, says: str) -> None:
    with pytest.raises(LockError) as raised:
        read_lock(text, "x.lock.json", 2)
    message = str(raised.value)
    assert message.startswith("x.lock.json: is not a lock file, or was edited by hand: ")
    assert says in message
    assert message.endswith("(git checkout x.lock.json), or remove it and run pytest --modelbudget-update")


def entry(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data["models"]["net"][0]
    return found


def without(*metrics: str) -> Edit:
    return lambda data: [entry(data)["metrics"].pop(metric) for metric in metrics]


@pytest.mark.parametrize(
    ("measured", "gone"),
    [
        ("forward", ["macs"]),
        ("forward", ["params"]),
        ("forward", ["params", "macs"]),
        ("training", ["training_macs"]),
        ("training", ["macs", "training_macs"]),
        ("weights", ["params"]),
    ],
    ids=str,
)
def test_metrics_that_the_modules_give_cannot_be_taken_out(measured: str, gone: list[str]) -> None:
    refused(edited(without(*gone), TEXTS[measured]), f'"net" lacks {", ".join(gone)} in its metrics')


def test_no_metrics_at_all() -> None:
    refused(edited(lambda data: entry(data).update(metrics={})), '"net" lacks params')


def test_what_ran_has_macs() -> None:
    free = text_of(measure(nn.Identity, input_size=(1, 8), name="net"))
    assert read_lock(free, "lock", 2).models["net"][0].metrics["macs"] == 0
    refused(edited(without("macs"), free), '"net" lacks macs')


FOLLOWING = ("trainable_params", "flops", "training_flops", "weight_bytes")


@pytest.mark.parametrize("measured", TEXTS)
def test_metrics_that_follow_from_others_are_not_written_and_are_read(measured: str) -> None:
    text, expected = TEXTS[measured], {"params": 228, "trainable_params": 228, "weight_bytes": 4 * 228}  # 3 * (36 + 40)
    if measured != "weights":
        expected |= {"macs": 192, "flops": 384}  # 3 * 2 * 8 * 4
    if measured == "training":
        expected |= {"training_macs": 3 * 192 - 32, "training_flops": 2 * (3 * 192 - 32)}  # no gradient for the input
    assert not any(f'"{metric}"' in text.partition('"modules"')[0] for metric in FOLLOWING)
    assert read_lock(text, "lock", 2).models["net"][0].metrics == expected


def test_what_does_not_follow_is_written() -> None:
    model = build().requires_grad_(False)
    model.register_buffer("table", nn.Linear(1, 1).weight)
    text = text_of(measure(model, input_size=(1, 8), name="net"))
    assert '"trainable_params": 0' in text
    assert f'"weight_bytes": {4 * 229}' in text


def test_a_file_of_the_first_schema_is_read_and_written_anew() -> None:
    def first(data: dict[str, Any]) -> None:
        data["schema"] = 1
        entry(data)["metrics"].update(trainable_params=228, flops=384, weight_bytes=912)

    lock = read_lock(edited(first), "lock", 2)
    assert write_lock(lock) == TEXT


def test_the_diff_of_a_metric_shows_whose_it_is() -> None:
    lines = TEXT.splitlines()
    at = lines.index('    "net": [{"inputs": ["args[0] 1x8 float32"], "mode": "eval", "metrics": {')
    assert lines[at + 1 : at + 3] == ['      "params": 228,', '      "macs": 192']


@pytest.mark.parametrize("key", ["schema", "flops_per_mac", "models"])
def test_a_key_of_the_file_is_missing(key: str) -> None:
    refused(edited(lambda data: data.pop(key)), key)


def test_a_metric_that_is_none_is_not_passed_over() -> None:
    refused(edited(lambda data: entry(data)["metrics"].update(parms=228)), "parms")


def test_a_model_without_entries() -> None:
    refused(edited(lambda data: data["models"].update(other=[])), '"other" has no entry')


def test_two_entries_for_the_same_inputs() -> None:
    refused(
        edited(lambda data: data["models"]["net"].append(entry(data))),
        "\"net\" has two entries for the inputs ['args[0] 1x8 float32']",
    )


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('    "net": [', '    "net": [],\n    "net": [', "net"),
        ('      "params": ', '      "params": 1,\n      "params": ', "params"),
        ('"cls": "Sequential"', '"cls": "Sequential", "cls": "Sequential"', "cls"),
        ('  "schema": 2,', '  "schema": 2,\n  "schema": 2,', "schema"),
    ],
)
def test_a_key_that_is_there_twice(old: str, new: str, key: str) -> None:
    refused(TEXT.replace(old, new, 1), f'the key "{key}" is there twice, as after a merge that took both sides')


@pytest.mark.parametrize("last", [300_000_000, 999_999_999_999, 10**30])
def test_more_modules_than_a_model_has(last: int) -> None:
    refused(TEXT.replace("{0-2}", f"{{0-{last}}}"), "no model has 1000000 equal modules")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "does not follow its parent"),
        ("{0-2}.3", "does not follow its parent"),
        ("nowhere.0", 'the module "nowhere.0" does not follow its parent'),
        ("1", 'the module "" has two modules "1"'),
        ("{a,a}", 'the module "" has two modules "a"'),
        ("{2-1}", '"{2-1}" is no range of modules'),
        ("{x-y}", '"{x-y}" is no range of modules'),
        ("{0-2}.", 'the module "{0-2}." does not follow its parent'),
    ],
)
def test_lines_that_are_no_tree(name: str, says: str) -> None:
    def add(data: dict[str, Any]) -> None:
        entry(data)["modules"] += [{"name": "later", "cls": "A"}, {"name": name, "cls": "A"}]

    refused(edited(add), says)


@pytest.mark.parametrize("at", [[5], [0, 0, 1], [7, 8, 9]])
def test_places_that_no_module_can_have(at: list[int]) -> None:
    refused(edited(lambda data: entry(data)["modules"][1].update(at=at)), 'the places ("at") of the modules of ""')


def test_an_operator_with_too_many_numbers() -> None:
    refused(edited(lambda data: entry(data)["modules"][1].update(unknown={"a::b": [1, 2, 3, 4]})), "has 4 numbers")


def test_modules_nested_without_end() -> None:
    def nest(data: dict[str, Any]) -> None:
        entry(data)["modules"] += [{"name": ".".join(["x"] * depth), "cls": "A"} for depth in range(1, 3000)]

    refused(edited(nest), "recursion")


UNSEEN = ["a\nb", "a\x1b[2Jb", "a\u202eb", "\u200b"]


@pytest.mark.parametrize("text", UNSEEN, ids=ascii)
@pytest.mark.parametrize(
    "edit",
    [
        lambda data, text: entry(data)["inputs"].append(text),
        lambda data, text: entry(data)["modules"][-1].update(cls=text),
        lambda data, text: entry(data)["modules"][-1].update(aliases=[text]),
        lambda data, text: entry(data)["modules"].append({"name": text, "cls": "A"}),
        lambda data, text: entry(data)["modules"].append({"name": text.replace("\n", "%0A") + "%1B", "cls": "A"}),
    ],
    ids=["inputs", "class", "alias", "name", "quoted"],
)
def test_characters_that_nobody_sees(edit: Callable[[dict[str, Any], str], object], text: str) -> None:
    refused(edited(lambda data: edit(data, text)), '"net" has characters that cannot be printed in "')


@pytest.mark.parametrize("name", ["", " net", *UNSEEN], ids=ascii)
def test_a_name_that_no_model_can_have(name: str) -> None:
    refused(edited(lambda data: data["models"].update({name: data["models"].pop("net")})), f"name {json.dumps(name)}: ")


class Odd(nn.Module):
    """A model whose modules and inputs have names that have to be escaped."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("a\nb", " blanks ", "100%", "{0-1}", "x,y", "\u200b", "\u00e9"):
            self.add_module(name, type("Wei\nrd", (nn.Linear,), {})(4, 4))
        self.again = self._modules["a\nb"]
        self.late = nn.ModuleList([nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)])

    def forward(self, **inputs: Any) -> Any:
        (x,) = inputs.values()
        return self._modules["100%"](x)  # type: ignore[misc]  # no other module has that name


def test_a_genuine_file_with_odd_names_is_read() -> None:
    odd = measure(Odd, input_size={"x\ny": (1, 4)}, name="né\u200dt")
    text = text_of(odd)
    found = read_lock(text, "lock", 2)
    assert write_lock(found) == text
    assert found.find(odd) is not None


def test_a_genuine_file_of_models_without_tensors_is_read() -> None:
    class Takes(nn.Linear):
        def forward(self, number: int) -> Any:  # type: ignore[override]
            return super().forward(self.weight[:number])

    ran = measure(lambda: Takes(4, 4), args=(2,), name="net", backward=True)
    assert (ran.inputs, ran.macs) == ((), 32)
    assert read_lock(text_of(ran), "lock", 2).models["net"][0].metrics["macs"] == 32
    assert write_lock(read_lock(TEXTS["weights"], "lock", 2)) == TEXTS["weights"]
    assert write_lock(read_lock(write_lock(Lock()), "lock", 2)) == write_lock(Lock())


def test_a_wide_range_beside_one_of_its_names_is_refused_at_once() -> None:
    """It took quadratic time: minutes, of a file of 240 bytes."""
    metrics = {"params": 0, "trainable_params": 0, "weight_bytes": 0}
    modules = [{"name": "", "cls": "N"}, {"name": "{0-900000}", "cls": "M"}, {"name": "900000", "cls": "M"}]
    models = {"n": [{"inputs": [], "metrics": metrics, "modules": modules}]}
    with pytest.raises(LockError, match='the module "" has two modules "900000"'):
        read_lock(json.dumps({"schema": 1, "flops_per_mac": 2, "models": models}), "lock", 2)


def test_a_model_at_many_inputs_is_read_at_once() -> None:
    entry = {
        "metrics": {"params": 0, "trainable_params": 0, "macs": 0, "flops": 0, "weight_bytes": 0},
        "modules": [{"name": "", "cls": "N"}],
    }
    entries = [{"inputs": [f"{number} float32"], **entry} for number in range(20_000)]
    lock = read_lock(json.dumps({"schema": 1, "flops_per_mac": 2, "models": {"n": entries}}), "lock", 2)
    assert len(lock.models["n"]) == 20_000
