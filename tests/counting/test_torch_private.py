"""Private names of torch: one that is missing is named at import, and no other file of counting uses any."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_modelbudget import counting
from pytest_modelbudget.counting.private_names import PrivateName, check, exists
from pytest_modelbudget.counting.torch_names import OPTIONAL, REQUIRED

PACKAGE = Path(counting.__file__).parent
PATHS = [name.path for name in REQUIRED]
NOT_DELETED = {  # attributes of types written in C, and an operator, which is found again when it is asked for
    "torch.Tensor._make_wrapper_subclass",
    "torch.Tensor._nested_tensor_size",
    "torch.Tensor._indices",
    "torch.Tensor._values",
    "torch.UntypedStorage._cdata",
    "torch.ops.aten._local_scalar_dense",
}

DELETE_EACH = """
import importlib, json, sys
from pytest_modelbudget.counting.private_names import look_up
from pytest_modelbudget.counting.torch_names import REQUIRED

def import_again():
    for name in [name for name in sys.modules if name.startswith("pytest_modelbudget")]:
        del sys.modules[name]
    try:
        importlib.import_module("pytest_modelbudget.counting")
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return ""

found = {}
for path in [name.path for name in REQUIRED]:
    parent, _, attribute = path.rpartition(".")
    holder = look_up(parent)
    value = getattr(holder, attribute)
    try:
        delattr(holder, attribute)
    except (AttributeError, TypeError):
        pass
    found[path] = None if hasattr(holder, attribute) else import_again()
    setattr(holder, attribute, value)
print(json.dumps([found, import_again()]))
"""


@pytest.fixture(scope="module")
def without_each() -> dict[str, str | None]:
    """What importing counting raises in a process whose torch lacks one name; None where it cannot be deleted."""
    done = subprocess.run([sys.executable, "-c", DELETE_EACH], capture_output=True, text=True, check=True)
    found, with_all = json.loads(done.stdout)
    assert with_all == ""
    return dict(found)


@pytest.mark.parametrize("name", REQUIRED, ids=PATHS)
def test_a_torch_without_a_required_name_is_an_import_error_that_says_what_breaks(
    name: PrivateName, without_each: dict[str, str | None]
) -> None:
    raised = without_each[name.path]
    if name.path in NOT_DELETED:
        assert raised is None
        with pytest.raises(ImportError) as caught:
            check(REQUIRED, lambda path: path != name.path)
        raised = f"ImportError: {caught.value}"
    assert raised is not None
    assert raised.startswith("ImportError: pytest-modelbudget cannot count models with torch ")
    assert f"\n  {name.path} is missing: without it, {name.breaks}" in raised


def test_a_name_that_behaves_otherwise_is_an_import_error() -> None:
    with pytest.raises(ImportError, match=r"torch\.nn does not behave as expected: without that, all breaks"):
        check([PrivateName("torch.nn", "all breaks", behaves=lambda: False)])


def test_every_missing_name_is_named_at_once() -> None:
    with pytest.raises(ImportError) as caught:
        check([PrivateName("torch._one", "this breaks"), PrivateName("torch._two._three", "that breaks")])
    assert str(caught.value).splitlines()[1:] == [
        "  torch._one is missing: without it, this breaks",
        "  torch._two._three is missing: without it, that breaks",
    ]


def test_optional_names_say_what_is_done_instead() -> None:
    assert all(name.breaks and name.instead for name in OPTIONAL)
    assert not any(name.instead for name in REQUIRED)
    names = [name.path for name in (*REQUIRED, *OPTIONAL)]
    assert len(names) == len(set(names))
    assert not exists("torch._C._no_such_name")
    assert not exists("torch._no_such_module.name")


WITHOUT_OPTIONAL = """
import torch

deleted = []
for holder, names in (
    (torch._C, ("_AutoDispatchBelowAutograd", "_get_flash_sdp_enabled", "_get_tracing_state")),
    (torch.ops.aten.add.Tensor, ("_op_dk",)),
):
    for name in names:
        deleted.append((holder, name, getattr(holder, name)))
        delattr(holder, name)

from pytest_modelbudget.counting import torch_private

for holder, name, value in deleted:  # torch itself cannot do without some of them
    setattr(holder, name, value)

from pytest_modelbudget.counting import force_real_run, measure

class Model(torch.nn.Linear):
    def forward(self, x):
        with torch.inference_mode():  # composite operators reach the mode undecomposed
            return super().forward(x)

assert not torch_private.CAN_RUN_BELOW_AUTOGRAD
for factory in (Model(4, 4), lambda: Model(4, 4)):
    found = measure(factory, torch.ones(3, 4))
    assert (found.run, found.macs) == ("shape", 3 * 4 * 4), found
with force_real_run():
    assert measure(Model(4, 4), torch.ones(3, 4)).macs == 3 * 4 * 4
"""


def test_a_torch_without_optional_names_counts_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_OPTIONAL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def roots(node: ast.expr) -> Iterator[str]:
    """Yield the names of an attribute chain, from its root: ``torch._C.x()`` gives torch, _C, x."""
    if isinstance(node, ast.Attribute):
        yield from roots(node.value)
        yield node.attr
    elif isinstance(node, ast.Call):
        yield from roots(node.func)
    elif isinstance(node, ast.Name):
        yield node.id


ROOTS = {"F", "forward_ad", "func", "init", "model", "module", "nn", "node", "operator", "storage", "tensor", "torch"}
OUR_OWN = {"_fields"}  # of named tuples


def private_names_of_torch(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None) or ""
            names = [f"{module}.{alias.name}" if module else alias.name for alias in node.names]
            found += [name for name in names if name.startswith("torch") and re.search(r"\._(?!_future__)", name)]
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
            first, *_ = [*roots(node), ""]
            if first in ROOTS and node.attr not in OUR_OWN:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("torch._"):
            found.append(node.value)
    return found


def test_private_names_are_recognised() -> None:
    source = (
        "import torch._dynamo\nfrom torch.utils import _pytree\nfunc._schema.name\ntorch._C.x\nself._own\nx['torch._x']"
    )
    assert private_names_of_torch(source) == [
        "torch._dynamo",
        "torch.utils._pytree",
        "func._schema",
        "torch._C",
        "torch._x",
    ]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name not in ("torch_names.py", "torch_private.py"))


@pytest.mark.parametrize("path", FILES, ids=[path.relative_to(PACKAGE).as_posix() for path in FILES])
def test_no_other_file_uses_private_names_of_torch(path: Path) -> None:
    assert private_names_of_torch(path.read_text(encoding="utf-8")) == []
