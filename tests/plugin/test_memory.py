"""The peak memory of activations under a budget: in the table, the fixture, the command and the baseline."""

from __future__ import annotations

import json

import pytest

from pytest_modelbudget.cli.main import main

from .conftest import PLAIN_AND_N2, Run

ZOO = """
    class Chain(nn.Sequential):
        def __init__(self, width=32):
            super().__init__(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 4))
"""
TABLE = '[tool.modelbudget.models.chain]\nfactory = "zoo:Chain"\ninputs = "4x8"\n'
LOCK = "modelbudget.lock.json"


@PLAIN_AND_N2
def test_a_limit_measures_it_and_the_failure_says_what_is_alive(run: Run, mode: list[str]) -> None:
    # 4 rows of 32 floats go into the ReLU, and as many come out: 2 x 4 x 32 x 4 = 1024 bytes
    result = run(*mode, zoo=ZOO, pyproject=f'{TABLE}peak_bytes = "1000"\n')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *BudgetExceeded: chain: peak_bytes 1,024 B > 1,000 B (+2.4%)",
            "E *alive at the peak (aten::relu in 1):",
            "E *512 B *0 *(aten::linear)",
            "E *512 B *1 *(aten::relu)",
            "model *params *MACs *peak *status",
            "chain *OVER peak 2.4%",
        ]
    )


def test_it_is_in_the_baseline_where_it_is_asked_for(run: Run, pytester: pytest.Pytester) -> None:
    run("--modelbudget-update", zoo=ZOO, pyproject=f"{TABLE}memory = true\n")
    metrics = json.loads((pytester.path / LOCK).read_text())["models"]["chain"][0]["metrics"]
    assert metrics["peak_bytes"] == 1024
    wider = run(pyproject=f"{TABLE}memory = true\narguments = {{ width = 33 }}\n")
    wider.stdout.fnmatch_lines(["chain *GREW *peak 3.1%*"])  # 2 x 4 x 33 x 4
    assert run(pyproject=TABLE).ret == 0


def test_the_fixture_and_what_the_table_asks_of_a_name(run: Run) -> None:
    result = run(
        pyproject='[tool.modelbudget.models."n*"]\npeak_bytes = "1 MB"\n',
        test_it="""
            def test_limit(model_budget):
                assert model_budget(Net(), X, peak_bytes="2 KB").peak_bytes == 4 * (200 + 200)
            def test_asked_for(model_budget):
                assert model_budget(Net(), X, memory=True).memory.operator == "aten::relu"
            def test_pattern(model_budget):
                assert model_budget(net, inputs=(1, 100)).peak_bytes
            def test_otherwise(model_budget):
                assert model_budget(Net(), X).peak_bytes is None
        """,
    )
    result.assert_outcomes(passed=4)


@PLAIN_AND_N2
def test_a_mark_that_observes(run: Run, mode: list[str]) -> None:
    result = run(
        *mode,
        zoo=ZOO,
        test_it="""
            from zoo import Chain
            # 2 x 4 x 32 x 4 = 1024 bytes for 4 rows, and twice that for 8, which is the costliest call
            @pytest.mark.budget(peak_bytes=2048, macs="1M")
            def test_within():
                model = Chain()
                for rows in (4, 8, 2): model(torch.zeros(rows, 8))
            @pytest.mark.budget(peak_bytes=2047)
            def test_over():
                model = Chain()
                for rows in (4, 8, 2): model(torch.zeros(rows, 8)).sum().backward()
            @pytest.mark.budget(macs="1M")
            def test_is_not_asked_for(): Chain()(torch.zeros(4, 8))
        """,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["E *BudgetExceeded: Chain: peak_bytes 2,048 B > 2,047 B*", "E *alive at the peak (aten::relu in 1):"]
    )


def test_a_cache_that_the_test_fills(run: Run) -> None:
    run(
        test_it="""
            class Remembers(nn.Linear):
                def forward(self, x, cache):
                    cache.append(super().forward(x))  # 2 floats
                    return x
            @pytest.mark.budget(cache_bytes=24)
            def test_fills():
                model, cache = Remembers(2, 2), []
                for tokens in (1, 2, 3): model(torch.zeros(2), cache=cache)
                assert len(cache) == 3
        """
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "@pytest.mark.budget(peak_bytes=1)\ndef test_it():\n    x = X.clone().requires_grad_()\n"
            "    class Force(Net):\n        def forward(self, x):\n"
            "            return torch.autograd.grad(super().forward(x).sum(), x)[0]\n    Force()(x)",
            "*was not measured; use the model_budget fixture or the table*",
        ),
        ("def test_it(model_budget): model_budget(Net(), peak_bytes=1)", "*measured without inputs: *"),
        ("@pytest.mark.budget(peak_bytes=1, module='first')\ndef test_it(): Net()(X)", "*is of the whole model*"),
    ],
)
def test_a_limit_that_cannot_be_checked(run: Run, code: str, says: str) -> None:
    result = run(test_it=code)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([says])


def test_the_command(run: Run, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    run(zoo=ZOO)
    (pytester.path / "models.py").rename(pytester.path / "nets.py")
    text = (pytester.path / "zoo.py").read_text().replace("from models import *", "from torch import nn")
    (pytester.path / "mbchains.py").write_text(text)
    assert main(["measure", "mbchains:Chain", "--inputs", "4x8", "--memory"]) == 0
    out = capsys.readouterr().out
    # weights: (8 x 32 + 32 + 32 x 4 + 4) x 4 = 1680 bytes
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for line in (
        "weights 1680 B",
        "activations 1024 B at the peak, during aten::relu in 1",
        "inference 2704 B at least",
    ):
        assert line in lines
    assert 'peak_bytes = "1.03 KB"' in out
    assert "memory = true" in out


def test_a_limit_on_what_is_saved_runs_the_backward(run: Run) -> None:
    # the input, and the result of the ReLU: 4 x 8 x 4 + 4 x 32 x 4 = 640 bytes
    result = run(zoo=ZOO, pyproject=f"{TABLE}saved_bytes = 639\n")
    result.stdout.fnmatch_lines(["E *BudgetExceeded: chain: saved_bytes 640 B > 639 B (+0.16%)"])
    assert run(pyproject=f"{TABLE}saved_bytes = 640\n").ret == 0


# AdamW keeps two moments for each of 420 weights, and four steps: 2 x 420 x 4 + 4 x 4 = 3376 bytes
OPTIMIZERS = {
    "name": 'optimizer = "torch.optim:AdamW"\n',
    "table": 'optimizer = { factory = "torch.optim:AdamW", arguments = { lr = 0.01 } }\n',
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_declared_optimizer(run: Run, pytester: pytest.Pytester, optimizer: str) -> None:
    result = run("--modelbudget-update", zoo=ZOO, pyproject=f'{TABLE}{optimizer}optimizer_bytes = "3_300"\n')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *BudgetExceeded: chain: optimizer_bytes 3,376 B > 3,300 B (+2.3%)"])
    result = run("--modelbudget-update", pyproject=f'{TABLE}{optimizer}optimizer_bytes = "3_376"\n')
    result.assert_outcomes(passed=1)
    metrics = json.loads((pytester.path / LOCK).read_text())["models"]["chain"][0]["metrics"]
    assert metrics["optimizer_bytes"] == 3376
    assert run(pyproject=TABLE).ret == 0


def test_mistakes_with_an_optimizer(run: Run) -> None:
    without = run(zoo=ZOO, pyproject=f'{TABLE}optimizer_bytes = "3 kB"\n')
    without.stdout.fnmatch_lines(["E *optimizer_bytes is limited*no optimizer is known: give one*"])
    for_all = '[tool.modelbudget.default]\noptimizer_bytes = "3 kB"\n'
    assert run(pyproject=f"{TABLE}{for_all}").ret == 0
    missing = run(pyproject=f'{TABLE}optimizer = "torch.optim:Adamm"\n')
    missing.stdout.fnmatch_lines(["E *torch.optim has no Adamm; did you mean Adam?"])
    for wrong, says in {
        "optimizer = true": "optimizer is *torch.optim:AdamW*, or a table with a factory, not True",
        "optimizer = {}": "optimizer is *torch.optim:AdamW*, or a table with a factory, not {}",
        'optimizer = { factory = "AdamW" }': 'optimizer.factory is "module:attribute"*',
    }.items():
        run(pyproject=f"{TABLE}{wrong}\n").stderr.fnmatch_lines([f"*{says}*"])


def test_the_fixture_and_the_command_take_an_optimizer(
    run: Run, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(
        zoo=ZOO,
        test_it="""
            from zoo import Chain
            def test_within(model_budget):
                model_budget(Chain, inputs=(4, 8), optimizer=torch.optim.AdamW, optimizer_bytes=3376)
            def test_over(model_budget):
                model_budget(Chain(), torch.zeros(4, 8), optimizer="torch.optim:AdamW", optimizer_bytes=3375)
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    assert main(["measure", "zoo:Chain", "--inputs", "4x8", "--memory", "--optimizer", "torch.optim:AdamW"]) == 0
    shown = capsys.readouterr().out
    assert "optimizer    3376 B  state after one step" in shown
    assert "training     5696 B  at least, and the gradients" in shown  # 1680 + 640 + 3376
    assert 'optimizer = "torch.optim:AdamW"' in shown


LANGUAGE_MODEL = """
[tool.modelbudget.models.decode]
factory = "transformers:LlamaForCausalLM"
positional = [{ factory = "transformers:LlamaConfig", arguments = { vocab_size = 99, hidden_size = 32, \
intermediate_size = 36, num_hidden_layers = 2, num_attention_heads = 4, num_key_value_heads = 2, head_dim = 8 } }]
inputs = "1x1 int64"
"""


def test_a_decode_step_of_a_declared_model(run: Run, pytester: pytest.Pytester) -> None:
    # keys and values of 2 layers with 2 heads of width 8, of 15 tokens and the one of the step
    limit = f'cache_bytes = "{2 * 2 * 2 * 8 * 16 * 4}"\n'
    result = run("--modelbudget-update", pyproject=f"{LANGUAGE_MODEL}cache = 15\n{limit}")
    result.assert_outcomes(passed=1)
    entry = json.loads((pytester.path / LOCK).read_text())["models"]["decode"][0]
    assert entry["inputs"] == ["args[0] 1x1 int64", "cache 15 tokens"]
    run(pyproject=f"{LANGUAGE_MODEL}cache = 15\n{limit}").assert_outcomes(passed=1)
    over = run(pyproject=f"{LANGUAGE_MODEL}cache = 16\n{limit}")
    over.stdout.fnmatch_lines(["E *BudgetExceeded: decode: cache_bytes *", "E *counted: *cache 16 tokens*"])


@PLAIN_AND_N2
def test_the_growth_of_a_cache(run: Run, mode: list[str]) -> None:
    ranged = f'{LANGUAGE_MODEL}cache = "{{31,63,127}}"\n'  # and the token of the step: 32, 64 and 128
    linear = run(*mode, pyproject=f'{ranged}scaling = {{ cache_bytes = 1.0, macs = "linear" }}\n')
    linear.assert_outcomes(passed=1)
    constant = run(*mode, pyproject=f'{ranged}scaling = {{ cache_bytes = "constant" }}\n')
    constant.assert_outcomes(failed=1)
    constant.stdout.fnmatch_lines(["E *decode: too steep: cache bytes grow as n^0.98, constant allowed"])


def test_mistakes_with_a_cache(run: Run) -> None:
    for wrong, says in {
        "cache = 0": "cache = 0: is how many tokens are cached, as in 4096 or *",
        'cache = "4k"': "cache = *: '4k' is no input spec*",
        'cache = "1x4"': "cache = *: is how many tokens are cached, as in 4096 or *",
        "cache = 4\nbackward = true": "cache = 4: a decode step has no backward pass",
        "scaling = { macs = 1.0 }\ncache = 4": "scaling needs *a range of sizes*",
    }.items():
        result = run(pyproject=f"{LANGUAGE_MODEL}{wrong}\n")
        result.stderr.fnmatch_lines([f"*{says}"])
    both = LANGUAGE_MODEL.replace("1x1", "{1,2}x1")
    run(pyproject=f'{both}cache = "{{4,8}}"\n').stderr.fnmatch_lines(["*the inputs have a range already*"])
    none = run(zoo=ZOO, pyproject=TABLE.replace("4x8", "4x8 int64") + "cache = 4\n")
    none.assert_outcomes(failed=1)


def test_the_command_measures_a_decode_step(pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    del pytester  # a folder of its own
    arguments = [
        "vocab_size=99",
        "hidden_size=32",
        "intermediate_size=36",
        "num_hidden_layers=2",
        "num_attention_heads=4",
    ]
    config = ", ".join(arguments).replace("=", " = ")
    given = f'{{ factory = "transformers:LlamaConfig", arguments = {{ {config} }} }}'
    command = ["measure", "transformers:LlamaForCausalLM", "--positional", given, "--inputs", "1x1 int64"]
    assert main([*command, "--cache", "15"]) == 0
    shown = capsys.readouterr().out
    assert "cache_bytes 8192 B" in shown  # keys and values x 2 layers x 4 heads x 16 tokens x 8 x 4
    assert "cache        8192 B    of the activations, when the call has ended" in shown
    assert "cache = 15" in shown


STATES = """
    class States(nn.Module):
        def forward(self, x, use_cache=False, states=None):
            new = x.float().repeat(1, 2) if states is None else states + 1
            return {"y": x, "states": new}
"""
DECLARED = '[tool.modelbudget.models.states]\nfactory = "zoo:States"\ninputs = "1x1 int64"\ncache = 4\n'


def test_a_hook_names_caches_of_other_models(run: Run, pytester: pytest.Pytester) -> None:
    run(zoo=STATES, pyproject=DECLARED).stdout.fnmatch_lines(["E *cache: the model returned none*"])
    hook = "def pytest_modelbudget_caches():\n    return {}\n"
    pytester.makeconftest(hook.format('["states"]'))
    limited = run(pyproject=f"{DECLARED}cache_bytes = 31\n")  # 2 x 4 floats, which the step does not change
    limited.stdout.fnmatch_lines(["E *BudgetExceeded: states: cache_bytes 32 B > 31 B*"])
    pytester.makeconftest(hook.format("[3]"))
    wrong = run(pyproject=DECLARED)
    wrong.stdout.fnmatch_lines(
        ["E *the hook pytest_modelbudget_caches failed: TypeError: a cache is known by the name*"]
    )
