"""What people read of large models, whole: the failure of Llama 70B, and BERT under ``-v``, in ``screens/``.

``UPDATE_SCREENS=1 pytest tests/reports`` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from pytest_modelbudget import Measurement, measure
from pytest_modelbudget.budgets import Place, Rules, Table, Verdict, budget_for, judge, parse_limit
from pytest_modelbudget.reports.message import failure
from pytest_modelbudget.reports.terminal import summary
from pytest_modelbudget.results import ModelResult, Result, Run

SCREENS = Path(__file__).parent / "screens"
LLAMA = LlamaConfig(
    hidden_size=8192,
    intermediate_size=28672,
    num_hidden_layers=80,
    num_attention_heads=64,
    num_key_value_heads=8,
    vocab_size=128256,
)


def judged(found: Measurement, **limits: str) -> Verdict:
    place = Place("pyproject.toml", 7, f"[tool.modelbudget.models.{found.name}]")
    rules = Rules({metric: parse_limit(metric, text, place) for metric, text in limits.items()})
    return judge(found, budget_for(Table(), (found.name,), [rules]))


def compare(name: str, screen: str) -> None:
    path = SCREENS / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS"):
        path.write_text(screen, encoding="utf-8")
    assert screen == path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def llama() -> Measurement:
    return measure(lambda: LlamaForCausalLM(LLAMA), input_size="1x4096 int64", name="llama_70b")


@pytest.fixture(scope="module")
def bert() -> Measurement:
    return measure(lambda: BertModel(BertConfig()), input_size="1x128 int64", name="bert")


def test_the_failure_of_llama_70b(llama: Measurement) -> None:
    verdict = judged(llama, params="70B", macs="280T")
    compare("llama_70b_failure", failure([(verdict, llama, ())]) + "\n")


@pytest.mark.parametrize(("verbosity", "most"), [(1, 25), (2, 60)])
def test_bert_under_v(bert: Measurement, verbosity: int, most: int) -> None:
    run = Run((ModelResult(Result.of(judged(bert, macs="11G"), bert), ("test.py::test_bert",)),))
    lines = [f"{line.text}{line.status}".rstrip() for line in summary(run, 80, verbosity)]
    assert len(lines) <= most
    compare(f"bert_{'v' * verbosity}", "\n".join(lines) + "\n")


def test_what_a_prompt_shows(llama: Measurement, bert: Measurement) -> None:
    assert len(str(llama).splitlines()) < 45
    compare("llama_70b_str", f"{llama}\n\n{llama.table()}\n")
    compare("bert_str", f"{bert}\n\n{bert.table(5)}\n")
    assert len(bert._repr_html_()) < 10_000
