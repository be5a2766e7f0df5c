"""The script of the ROS-OCP document, with programs that only tell what was asked of them."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.composed import ROOT

FOLDER = ROOT / "deployment" / "docker-compose"
SCRIPT = FOLDER / "test-ros-ocp-dataflow.sh"
# What the script itself and deploy/podman/run need.
BASICS = ("bash", "sh", "cat", "dirname", "grep")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A copy of the repository's scripts, whose PATH has these programs and no others; gives code, calls, stderr."""
    root = tmp_path / "repository"
    (root / "deploy" / "podman").mkdir(parents=True)
    (root / "deploy" / "podman" / "run").symlink_to(ROOT / "deploy" / "podman" / "run")
    script = root / "deployment" / "docker-compose" / SCRIPT.name
    script.parent.mkdir(parents=True)
    script.write_bytes(SCRIPT.read_bytes())
    script.chmod(0o700)
    (root / ".env").write_text("KAFKA_IMAGE=other\n")
    calls = tmp_path / "calls"
    basics = tmp_path / "basics"
    basics.mkdir()
    for name in BASICS:
        (basics / name).symlink_to(next(path for path in which(name)))
    program(basics / "stat", "echo cgroup2fs")
    program(basics / "make", f'echo "make $*" >> {calls}')
    program(root / ".venv" / "bin" / "headrace", f'echo "headrace $* in ${{HEADRACE_DIRECTORY-}}" >> {calls}')

    def started(*words, programs=(), **environment):
        for name, line in programs:
            program(tmp_path / "programs" / name, f'echo "{Path(name).name} $*" >> {calls}\n{line}')
        extra = [tmp_path / "programs" / Path(name).parent for name, _ in programs]
        done = subprocess.run(
            [script, *words],
            cwd=script.parent,
            env={"PATH": os.pathsep.join(map(str, [*extra, basics]))} | environment,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        said = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return done.returncode, said, done.stdout + done.stderr

    return started


def which(name):
    return (Path(folder) / name for folder in os.environ["PATH"].split(":") if (Path(folder) / name).exists())


def program(path, line):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o700)


CONTAINERS = (("podman", ":"), ("podman-compose", ":"))


def test_it_starts_waits_and_checks_the_containers(run):
    assert run(programs=CONTAINERS)[:2] == (
        0,
        [
            "make --no-print-directory install",
            "make --no-print-directory passwords",
            "podman image inspect localhost/headrace:latest",
            "podman-compose up -d",
            "make --no-print-directory dataflow STACK=compose WAIT=300",
            "podman-compose ps",
        ],
    )


def test_an_image_that_is_not_there_is_built(run):
    missing = (("podman", "exit 1"), ("podman-compose", ":"))
    _, calls, _ = run(programs=missing, WAIT="5")
    assert calls[3:5] == ["make --no-print-directory image", "podman-compose up -d"]
    assert calls[5].endswith("WAIT=5")
    _, calls, _ = run(programs=missing, HEADRACE_IMAGE="registry.example.com/mine")
    assert calls[2] == "podman-compose up -d"


def test_a_step_that_fails_ends_it_with_1(run, tmp_path):
    failing = (*CONTAINERS, ("make", 'case "$*" in *dataflow*) exit 2 ;; esac'))
    code, calls, _ = run(programs=failing)
    assert (code, calls[-1].split()[2]) == (1, "dataflow")


def test_a_stack_that_does_not_start_is_not_checked(run):
    code, calls, _ = run(programs=(("podman", ":"), ("podman-compose", "exit 3")))
    assert (code, calls[-1]) == (3, "podman-compose up -d")


def test_without_an_engine_it_works_on_the_local_stack(run):
    code, calls, _ = run()
    assert (code, calls) == (
        0,
        [
            "make --no-print-directory install",
            "headrace up --detach in ",
            "make --no-print-directory dataflow STACK=local WAIT=300",
            "headrace status in ",
        ],
    )


def test_beside_the_stand_ins_it_works_on_their_stack(run, tmp_path):
    stand_ins = tuple((f"data/bin/as-printed/{name}", ":") for name in ("podman", "podman-compose"))
    assert run("status", programs=stand_ins)[1] == [f"headrace status in {tmp_path}/programs/data"]


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        (("status",), ["podman-compose ps"]),
        (("logs",), ["podman-compose logs"]),
        (("logs", "rosocp-processor"), ["podman-compose logs -f rosocp-processor"]),
        (("cleanup",), ["podman-compose down -v"]),
        (("stop",), ["podman-compose down -v"]),
        (("help",), []),
    ],
)
def test_it_has_upstreams_commands(run, typed, asked):
    assert run(*typed, programs=CONTAINERS)[:2] == (0, asked)


def test_another_word_is_refused_and_starts_nothing(run):
    code, calls, said = run("statsu", programs=CONTAINERS)
    assert (code, calls) == (2, [])
    assert "statsu is no command" in said
    code, calls, said = run(programs=CONTAINERS, STACK="kubernetes")
    assert (code, calls) == (2, [])
    assert "STACK is kubernetes, expected compose or local" in said


def test_the_folder_of_the_script_has_the_compose_file():
    """podman-compose looks into the working directory only, and takes paths from there."""
    assert (FOLDER / "docker-compose.yml").resolve() == ROOT / "compose.yaml"
    assert (FOLDER / "deploy").resolve() == ROOT / "deploy"
    assert (FOLDER / ".env").resolve() == ROOT / ".env"
    assert os.access(SCRIPT, os.X_OK)
