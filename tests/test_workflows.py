"""What GitHub reads: valid by its published schemas, safe by zizmor, and the action's own steps really run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from warm import run_program

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "modelbudget" / "action.yml"
DEPENDABOT = ROOT / ".github" / "dependabot.yml"
RELEASE = ROOT / ".github" / "workflows" / "release.yml"
WORKFLOWS = [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("example_project/.github/workflows/*.yml")]


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which(name, path=sysconfig.get_path("scripts"))
    assert program, f"{name} is not installed"
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("schema", "files"),
    {
        "vendor.github-workflows": WORKFLOWS,
        "vendor.github-actions": [ACTION],
        "vendor.github-issue-forms": [*ROOT.glob(".github/ISSUE_TEMPLATE/*-*.yml")],
        "vendor.github-issue-config": [ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"],
        "vendor.dependabot": [DEPENDABOT],
        "vendor.citation-file-format": [ROOT / "CITATION.cff"],
    }.items(),
)
def test_the_files_are_valid_by_their_schemas(schema: str, files: list[Path]) -> None:
    done = tool("check-jsonschema", "--builtin-schema", schema, *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dependabot_finds_every_pinned_action() -> None:
    (of_actions,) = (
        one
        for one in YAML(typ="safe").load(DEPENDABOT.read_text())["updates"]
        if one["package-ecosystem"] == "github-actions"
    )
    folders = {"/.github/workflows" if folder == "/" else folder for folder in of_actions["directories"]}
    assert folders == {f"/{path.parent.relative_to(ROOT).as_posix()}" for path in (ACTION, *WORKFLOWS)}


def test_the_files_are_safe() -> None:
    done = tool("zizmor", "--offline", "--no-progress", "--min-severity=low", ACTION, DEPENDABOT, *WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr


SUITE = """
import torch
from torch import nn

def test_net(model_budget): model_budget(nn.Linear(4, {width}), torch.zeros(1, 4), name="net", macs="{limit}")
"""


def run_pytest(folder: Path, width: int, limit: str, *options: str) -> None:
    (folder / "test_net.py").write_text(SUITE.format(width=width, limit=limit))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_program("pytest", ["-q", "-p", "no:cacheprovider", *options], folder / "screen")


def run_step(folder: Path, step: dict[str, object], values: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Run one step as the runner would: its environment filled in, with a file each for outputs and summary."""
    if sys.platform == "win32":
        pytest.skip("the steps are run by bash, and the tests give them scripts of a POSIX shell")
    outputs = folder / "outputs"
    outputs.touch()
    given = {name: fill(str(text), values) for name, text in dict(step.get("env", {})).items()}  # type: ignore[call-overload]
    environment = {
        **os.environ,
        **given,
        "GITHUB_OUTPUT": str(outputs),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    # A shell that is not named is bash too, but without pipefail.
    options = ["--noprofile", "--norc", "-eo", "pipefail"] if step.get("shell") == "bash" else ["-e"]
    command = ["bash", *options, "-c", str(step["run"])]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    found = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    return done.returncode, {**found, "stdout": done.stdout, "stderr": done.stderr}


def fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${{{{ {name} }}}}", value)
    assert "${{" not in text, text
    return text


def steps_of(workflow: Path) -> dict[str, dict[str, object]]:
    """Return the steps that run something, by job and number, each with the shell that it gets."""
    found = YAML(typ="safe").load(workflow.read_text())
    shell = found.get("defaults", {}).get("run", {})
    jobs = found["jobs"].items()
    return {
        f"{job} {n}": {**shell, **one} for job, of in jobs for n, one in enumerate(of.get("steps", ())) if "run" in one
    }


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_what_fails_before_a_pipe_fails_the_step(workflow: Path) -> None:
    without_quoted = {name: re.sub("'[^']*'", "", str(step["run"])) for name, step in steps_of(workflow).items()}
    shells = {name: steps_of(workflow)[name].get("shell") for name, text in without_quoted.items() if " | " in text}
    assert shells == dict.fromkeys(shells, "bash")


def of_the_release(words: str) -> dict[str, object]:
    (step,) = (step for step in steps_of(RELEASE).values() if words in str(step["run"]))
    return step


def test_a_tag_that_is_not_the_version_ends_the_release(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    for name in ("CHANGELOG.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for tag, ends in (("v9.9.9", 1), ("", 0)):
        value = {"github.ref_type == 'tag' && github.ref_name || ''": tag}
        code, outputs = run_step(tmp_path, of_the_release("tools.release"), value)
        assert (code, "and is v9.9.9" in outputs["stderr"]) == (ends, bool(ends))


@pytest.mark.parametrize(
    ("tag", "shown"), [("v0.2.0", ""), ("v0.2.0rc1", " --prerelease"), ("v1.0.0a2", " --prerelease")]
)
def test_what_comes_before_a_release_is_not_the_latest(tmp_path: Path, tag: str, shown: str) -> None:
    step = of_the_release("gh release create")
    step["run"] = f'gh() {{ echo "$*"; }}\n{step["run"]}'
    code, outputs = run_step(tmp_path, step, {"github.token": "t", "github.ref_name": tag})
    assert (code, outputs["stdout"].startswith(f"release create {tag}{shown} --repo")) == (0, True)


def steps_of_the_action() -> dict[str, dict[str, object]]:
    return {step["name"]: step for step in YAML(typ="safe").load(ACTION.read_text())["runs"]["steps"]}


def render(folder: Path, before: str = "", **base: str) -> tuple[int, dict[str, str]]:
    """Run the step that writes the Markdown, after other commands; ``base`` is what the step before it found."""
    found = {f"steps.base.outputs.{name}": base.get(name, "") for name in ("between", "missing")}
    values = {"inputs.base || steps.base.outputs.lock": base.get("lock", ""), "runner.temp": str(folder)}
    step = steps_of_the_action()["Summary"]
    step["run"] = f"{before}\n{step['run']}"
    return run_step(folder, step, {"inputs.report": "modelbudget.json", **values, **found})


@pytest.mark.parametrize(("width", "violations"), [(4, "0"), (5, "0"), (8, "1")])
def test_the_steps_of_the_action(tmp_path: Path, width: int, violations: str) -> None:
    run_pytest(tmp_path, 4, "20", "--modelbudget-report=json:base.json")
    run_pytest(tmp_path, width, "20", "--modelbudget-report=json")  # 4 x 4 and 4 x 5 MACs are within, 4 x 8 are over
    code, outputs = render(tmp_path, lock="base.json", between="abc with main (def)")
    assert code == 0, outputs["stderr"]
    assert (outputs["violations"], outputs["passed"]) == (violations, "true" if violations == "0" else "false")
    text = Path(outputs["markdown-path"]).read_text(encoding="utf-8")
    passes = "## Model budgets: 1 model within budget"
    assert text.startswith("## Model budgets: 1 of 1 model fails" if width == 8 else passes)
    grew = {4: "Nothing changed.", 5: "**Grew:** net +25.0% params.", 8: "**Grew:** net +100% params."}[width]
    assert f"{grew} Comparing abc with main (def)." in text.replace("\N{NO-BREAK SPACE}", " ")
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == text
    known = {"steps.render.outputs.passed": outputs["passed"], "steps.render.outputs.violations": violations}
    code, _ = run_step(tmp_path, steps_of_the_action()["Verdict"], known)
    assert code == (0 if violations == "0" else 1)


def test_a_base_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    run_pytest(tmp_path, 4, "20", "--modelbudget-report=json")
    code, outputs = render(tmp_path, missing="it is gone")
    assert code == 0, outputs["stderr"]
    text = Path(outputs["markdown-path"]).read_text(encoding="utf-8")
    assert "No comparison with the base: it is gone." in text
    assert "unchanged" not in text


@pytest.mark.parametrize("broken", ["", "compare", "contents", "lock"])
def test_the_base_is_where_the_tested_commit_left_its_branch(tmp_path: Path, broken: str) -> None:
    """``gh`` is one of our own, which has the two answers of the API."""
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a", "commit", "-q", "--allow-empty", "-m", "a"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    options = ["--modelbudget-update"] if broken != "lock" else []
    run_pytest(tmp_path, 4, "20", *options)
    run_pytest(tmp_path, 4, "20", "--modelbudget-report=json")
    gh = tmp_path / "gh"
    gh.write_text(f"""#!/bin/sh
case "$*" in
  *compare/main...*) [ "{broken}" != compare ] && echo 0123456789abcdef ;;
  *contents/modelbudget.lock.json?ref=0123456789abcdef*) [ "{broken}" != contents ] && cat modelbudget.lock.json ;;
esac
""")
    gh.chmod(0o755)
    step = dict(steps_of_the_action()["Base"])
    step["run"] = f'PATH="{tmp_path}:$PATH"\n{step["run"]}'
    values = {"github.repository": "a/b", "github.base_ref": "main", "inputs.github-token": "t"}
    code, outputs = run_step(
        tmp_path, step, {**values, "inputs.report": "modelbudget.json", "runner.temp": str(tmp_path)}
    )
    assert code == 0, outputs["stderr"]
    if broken:
        expected = {
            "compare": "GitHub does not say",
            "contents": "cannot be read at 0123456",
            "lock": "has no lock file",
        }
        assert expected[broken] in outputs["missing"]
        return
    assert outputs["between"].endswith(" with main (0123456)")
    code, outputs = render(tmp_path, lock=outputs["lock"], between=outputs["between"])
    assert "Nothing changed. Comparing " in Path(outputs["markdown-path"]).read_text(encoding="utf-8")


def test_a_missing_report_fails_the_step(tmp_path: Path) -> None:
    code, outputs = render(tmp_path)
    assert code == 2
    assert outputs["stderr"] == "modelbudget: modelbudget.json: cannot be read: No such file or directory\n"


PAGES = ROOT / ".github" / "workflows" / "pages.yml"


def publish(folder: Path, branch: Path, tag: str, **environment: str) -> tuple[int, dict[str, str]]:
    """Run the step that adds a version to the branch, in a clone of its own; GitHub is a folder here."""
    shutil.copytree(ROOT / "tools", folder / "tools")
    (folder / "built").mkdir()
    (folder / "built" / "index.html").write_text(tag)
    step = YAML(typ="safe").load(PAGES.read_text())["jobs"]["publish"]["steps"][-1]
    step["env"].update(GITHUB_REPOSITORY="a/b", GITHUB_ACTOR="a", GITHUB_SHA="abc", GITHUB_REF_NAME=tag, **environment)
    address = "https://x-access-token:t@github.com/a/b.git"
    step["env"].update(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0=f"url.{branch}.insteadOf", GIT_CONFIG_VALUE_0=address)
    return run_step(folder, step, {"github.token": "t"})


def on_branch(branch: Path, path: str) -> str:
    command = ["git", "-C", str(branch), "show", f"gh-pages:{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_each_run_adds_its_version_to_the_site(tmp_path: Path) -> None:
    branch = tmp_path / "branch.git"
    subprocess.run(["git", "init", "-q", "--bare", branch], check=True)
    for count, tag in enumerate(("main", "v0.1.0", "v0.2.0", "main", "main")):
        code, outputs = publish(tmp_path / str(count), branch, tag)
        assert code == 0, outputs["stderr"]
    found = {path: on_branch(branch, f"{path}index.html") for path in ("", "main/", "0.1.0/", "0.2.0/")}
    assert found == {"": "v0.2.0", "main/": "main", "0.1.0/": "v0.1.0", "0.2.0/": "v0.2.0"}
    count = subprocess.run(["git", "-C", branch, "rev-list", "--count", "gh-pages"], capture_output=True, text=True)
    assert count.stdout == "5\n", "what was there once can be had again"


def test_a_run_that_another_one_has_overtaken_begins_again(tmp_path: Path) -> None:
    branch, hooks = tmp_path / "branch.git", tmp_path / "template" / "hooks"
    subprocess.run(["git", "init", "-q", "--bare", branch], check=True)
    assert publish(tmp_path / "first", branch, "main")[0] == 0
    assert publish(tmp_path / "other", branch, "v0.1.0")[0] == 0
    subprocess.run(["git", "-C", branch, "update-ref", "refs/heads/gh-pages", "gh-pages~"], check=True)
    hooks.mkdir(parents=True)  # of the late run: the other one pushes between its commit and its push
    push = f"unset $(git rev-parse --local-env-vars)\ngit -C {tmp_path}/other/site push -q {branch} gh-pages"
    (hooks / "post-commit").write_text(f"#!/bin/sh\n{push}\n")
    (hooks / "post-commit").chmod(0o755)
    code, outputs = publish(tmp_path / "late", branch, "v0.2.0", GIT_TEMPLATE_DIR=str(hooks.parent))
    assert (code, "rejected" in outputs["stderr"]) == (0, True)
    assert [on_branch(branch, f"{tag}/index.html") for tag in ("0.1.0", "0.2.0")] == ["v0.1.0", "v0.2.0"]


FORKS = ROOT / "example_project" / ".github" / "workflows" / "budgets-from-forks.yml"


def steps_for_forks() -> dict[str, dict[str, object]]:
    steps = YAML(typ="safe").load(FORKS.read_text())["jobs"]["comment"]["steps"]
    return {str(step.get("name", step.get("uses"))).partition(",")[0]: step for step in steps}


def test_for_a_fork_the_report_is_rendered_here(tmp_path: Path) -> None:
    """What the fork uploads is data: a name cannot be Markdown of its own."""
    (tmp_path / "budgets").mkdir()
    run_pytest(tmp_path, 8, "20", "--modelbudget-report=json:budgets/modelbudget.json")
    report = tmp_path / "budgets" / "modelbudget.json"
    report.write_text(report.read_text().replace('"net"', '"@octocat <b>"'))
    step = dict(steps_for_forks()["Render the report"])
    step["run"] = "\n".join(line for line in str(step["run"]).splitlines() if "pip install" not in line)
    code, outputs = run_step(tmp_path, step, {"runner.temp": str(tmp_path)})
    assert code == 0, outputs["stderr"]
    assert "@<!-- -->octocat &lt;b&gt;" in (tmp_path / "modelbudget-comment.md").read_text()


@pytest.mark.parametrize(("answer", "code", "number"), [("ok", 0, "2"), ("nothing", 0, ""), ("error", 1, None)])
def test_the_pull_request_is_that_of_the_fork(tmp_path: Path, answer: str, code: int, number: str | None) -> None:
    pulls = r"1\tsomebody/else\tabc\n2\tfork/net\tabc\n3\tfork/net\tdef\n" if answer == "ok" else ""
    gh = tmp_path / "gh"
    gh.write_text(f"#!/bin/sh\nprintf '{pulls}'\nexit {int(answer == 'error')}\n")
    gh.chmod(0o755)
    step = dict(steps_for_forks()["Find the pull request"])
    step["run"] = f'PATH="{tmp_path}:$PATH"\n{step["run"]}'
    prefix = "github.event.workflow_run"
    values = {
        "github.token": "t",
        "github.repository": "a/b",
        f"{prefix}.head_repository.full_name": "fork/net",
        f"{prefix}.head_sha": "abc",
    }
    ended, outputs = run_step(tmp_path, step, values)
    assert (ended, outputs.get("number")) == (code, number)


def test_the_action_refuses_a_count_that_is_none(tmp_path: Path) -> None:
    run_pytest(tmp_path, 4, "20", "--modelbudget-report=json")
    silent = 'python() { if [ "$6" = count ]; then :; else command python "$@"; fi; }'
    code, outputs = render(tmp_path, silent)
    assert (code, "counted nothing" in outputs["stdout"], "passed" in outputs) == (2, True, False)
