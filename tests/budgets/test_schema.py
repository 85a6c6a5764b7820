"""The JSON Schema of the table: shipped as generated, and of one mind with the plugin's own reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from validate_pyproject import api, errors

import pytest_modelbudget
from pytest_modelbudget.budgets import TableError
from pytest_modelbudget.budgets.config import table_from
from pytest_modelbudget.budgets.config_file import tomllib
from pytest_modelbudget.budgets.schema import table_schema

SHIPPED = Path(pytest_modelbudget.__file__).parent / "budgets" / "table.schema.json"
GOOD = """
[tool.modelbudget]
baseline = "modelbudget.lock.json"
growth = "0%"
floor = 1000
unbudgeted = "warn"
flops_per_mac = 1
[tool.modelbudget.default]
params = "1_00M"
weight_bytes = "96 MiB"
[tool.modelbudget.models."vit_*"]
macs = { max = "17.6 GMACs", warn = "17G", growth = "1.5%", floor = "1M" }
flops = "none"
[tool.modelbudget.models.bert]
factory = "zoo.text:Bert.small"
arguments = { layers = 12, names = ["a"] }
inputs = { input_ids = "1x{64,128} int64", mask = "1x{64,128} bool" }
method = "encode"
backward = true
optimizer = "torch.optim:AdamW"
scaling = { macs = "linear", params = 0.5 }
params = "7B"
message = "See docs."
[tool.modelbudget.models.bert.modules."encoder.layer.*"]
macs = 12
[tool.modelbudget.models.bert_large]
like = "bert"
positional = ["None", { object = "torch:bfloat16" }]
arguments = { config = { factory = "zoo.text:Config", positional = [3], arguments = { layers = 24 } } }
inputs = [{ batch = ["2x8", "2 int64 = 63", "mean"] }, 4, true, "None"]
scaling = {}
optimizer = { factory = "torch.optim:SGD", arguments = { momentum = 0.9 } }
dtype = "bfloat16"
[tool.modelbudget.models.detector]
factory = "zoo.sight:Detector"
inputs = "zoo.sight:images_and_targets"
"""
BAD = [
    "[tool.modelbudget]\nbudget = 1",
    "[tool.modelbudget]\nstale = 'never'",
    "[tool.modelbudget]\nflops_per_mac = 3",
    "[tool.modelbudget.default]\nmacs = '4.1g'",
    "[tool.modelbudget.default]\nmacs = 4.1",
    "[tool.modelbudget.default]\nmacs = -1",
    "[tool.modelbudget.default]\nmacs = '7B'",
    "[tool.modelbudget.default]\nmac = 1",
    "[tool.modelbudget.default]\nfactory = 'a:b'",
    "[tool.modelbudget.models.net]\nmacs = { maximum = 1 }",
    "[tool.modelbudget.models.net]\nmacs = { growth = '1' }",
    "[tool.modelbudget.models.net]\nfactory = 'a'",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\ninputs = '1y3'",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\ninputs = ['1x3 flot32']",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\ninputs = []",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\ninputs = [{ x = '1x' }]",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\ntrain = 'yes'",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\ndtype = 'int8'",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\npositional = 3",
    "[tool.modelbudget.models.net]\nlike = 3",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\nmethod = 'a b'",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\nbackward = 'yes'",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\ninputs = '{1,2}'\nscaling = { macs = 'steep' }",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\noptimizer = 'AdamW'",
    "[tool.modelbudget.models.net]\nfactory = 'a:b'\noptimizer = 3",
    "[tool.modelbudget.models.net.modules.head]\nfactory = 'a:b'",
    "[tool.modelbudget.models.net]\nmodules = 3",
    "[tool.modelbudget]\nmodels = 3",
]


def test_the_schema_that_is_shipped_is_that_of_the_types() -> None:
    text = json.dumps(table_schema(), indent=2) + "\n"
    if os.environ.get("UPDATE_SCHEMA"):
        SHIPPED.write_text(text, encoding="utf-8")
    assert SHIPPED.read_text(encoding="utf-8") == text


@pytest.fixture(scope="module")
def validate() -> api.Validator:
    return api.Validator()  # which finds the schema by its entry point


def test_the_program_ends_as_it_should(tmp_path: Path) -> None:
    """It finds the schema too, and a schema that msgspec makes wrong aborts the process at its very end."""
    (tmp_path / "pyproject.toml").write_text(GOOD)
    command = [sys.executable, "-m", "validate_pyproject", str(tmp_path / "pyproject.toml")]
    done = subprocess.run(command, cwd=SHIPPED.parents[2], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def own(document: dict[str, Any]) -> None:
    table_from(document, "pyproject.toml", {})


def test_a_good_table(validate: api.Validator) -> None:
    document = tomllib.loads(GOOD)
    own(document)
    assert validate(document)


@pytest.mark.parametrize("text", BAD)
def test_a_bad_table_is_one_for_both(text: str, validate: api.Validator) -> None:
    document = tomllib.loads(text)
    with pytest.raises(TableError):
        own(document)
    with pytest.raises(errors.ValidationError):
        validate(document)
