"""action.yml: its form, and its steps as the runner runs them, with a stand-in for the installed command."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from headrace_services.registry import SERVICES
from tests.composed import ROOT

ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = ACTION["runs"]["steps"]
SHELL = [step for step in STEPS if "run" in step]
URLS: dict[str, Any] = {
    "engines": {
        "kafka": {"url": "127.0.0.1:29092"},
        "s3": {"url": "http://key:secret@127.0.0.1:9000"},
        "postgres": {"url": "postgresql://postgres@127.0.0.1:15432/postgres"},
    },
    "services": {row.name: {"url": f"http://127.0.0.1:{row.port}"} for row in SERVICES if row.port},
    "admin": {"health": "http://127.0.0.1:9100/health"},
}
# Keeps what it was called with beside itself.
STAND_IN = """\
#!{python}
import sys
from typing import Any
with open(__file__ + ".called", "a") as file:
    print(*sys.argv[1:], file=file)
if "urls" in sys.argv:
    print({urls!r})
sys.exit({code})
"""


@pytest.fixture
def runner(tmp_path):
    """What the runner gives a step, and the step's own command line run with it."""
    for name in ("output", "env", "path"):
        (tmp_path / name).touch()
    given = {
        "PATH": os.environ["PATH"],
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_ENV": str(tmp_path / "env"),
        "GITHUB_PATH": str(tmp_path / "path"),
    }

    def run(name, **inputs):
        (step,) = (step for step in SHELL if step["run"].endswith(f" {name}"))
        assert set(inputs) <= set(step["env"])
        unset = dict.fromkeys(step["env"], "")
        command = step["run"].replace("python3", sys.executable, 1)
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command],
            env=given | unset | inputs,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    return run


def values(path):
    return dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines())


def stand_in(tmp_path, code=0):
    program = tmp_path / "headrace" / "bin" / "headrace"
    program.parent.mkdir(parents=True)
    program.write_text(
        STAND_IN.format(python=sys.executable, urls=json.dumps(URLS), code=code), encoding="utf-8"
    )
    program.chmod(0o755)
    return program.with_name("headrace.called")


def test_the_form_is_a_composite_action():
    assert ACTION["runs"]["using"] == "composite"
    assert {step["shell"] for step in SHELL} == {"bash"}
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (.+)", text)
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in used)
    assert all(item["description"] for kind in ("inputs", "outputs") for item in ACTION[kind].values())


def test_an_input_never_becomes_a_part_of_a_command():
    assert not [step["run"] for step in SHELL if "${{" in step["run"]]
    passed = {value for step in SHELL for value in step.get("env", {}).values()}
    assert passed == {f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"]}


def test_the_cache_is_another_one_for_another_version(runner, tmp_path):
    keys = set()
    for version in ("", "", "0.2.0"):
        assert runner("prepare", VERSION=version).returncode == 0
        keys.add(values(tmp_path / "output")["key"])
    assert len(keys) == 2


def test_a_step_has_every_output_that_the_action_promises(runner, tmp_path):
    called = stand_in(tmp_path)

    started = runner("start", DIRECTORY=str(tmp_path / "data"), PORT_BASE="20000")

    assert started.returncode == 0, started.stderr
    given = values(tmp_path / "output")
    promised = {name: f"${{{{ steps.start.outputs.{name} }}}}" for name in ACTION["outputs"]}
    assert {name: item["value"] for name, item in ACTION["outputs"].items()} == promised
    assert set(ACTION["outputs"]) - set(given) == set()
    assert json.loads(given["urls"]) == URLS
    assert given["payload-tracker"] == URLS["services"]["payload_tracker"]["url"]
    assert given["kafka"] == "127.0.0.1:29092"
    assert values(tmp_path / "env") == {"HEADRACE_DIRECTORY": str(tmp_path / "data")}
    where = f"--directory {tmp_path / 'data'}"
    assert called.read_text(encoding="utf-8").splitlines() == [
        f"up --detach {where} --port-base 20000",
        f"urls --json {where}",
    ]


def test_a_stack_that_does_not_start_fails_the_step_and_promises_nothing(runner, tmp_path):
    stand_in(tmp_path, code=1)
    assert runner("start").returncode == 1
    assert (tmp_path / "output").read_text(encoding="utf-8") == ""
