"""The fixture `headrace`, and the senders in `examples/` against its stack."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.samples import KINDS, SampleOptions
from tests.e2e.command import REPOSITORY

pytestmark = pytest.mark.xdist_group("examples")

EXAMPLES = REPOSITORY / "examples"
SECONDS = 240
FAILING = """
def test_of_what_is_no_archive(headrace):
    payload = headrace.upload(b"no archive", type="insights")
    assert payload.archived


def test_of_a_service_that_nobody_archives(headrace):
    payload = headrace.upload(b"anything", type="application/vnd.redhat.compliance.results")
    payload.archive()
"""


@pytest.fixture
def folder(tmp_path):
    """Where a program is run."""
    return tmp_path / "example"


@pytest.fixture
def run(headrace, folder):
    """Run a program in the folder, on the stack of the fixture."""
    environment = {
        name: value
        for name, value in os.environ.items()
        # A run of its own, not a part of this one.
        if not name.startswith(("PYTEST_", "HEADRACE_"))
    } | {
        "HEADRACE_STACK": str(headrace.aio.places.directory),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY / "pytest-headrace"),
    }

    def run(*words, example="", **more):
        if example:
            shutil.copytree(EXAMPLES / example, folder, ignore=shutil.ignore_patterns("__pycache__"))
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            words,
            cwd=folder,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def pytest_words(*more):
    plugins = ("pytest_headrace", "no:schemathesis", "no:randomly")
    return (sys.executable, "-m", "pytest", *(word for name in plugins for word in ("-p", name)), *more)


def test_the_python_example_passes_with_two_workers_on_one_stack(run):
    code, said = run(*pytest_words("-q", "-n", "2"), example="python")
    assert code == 0, said
    assert "3 passed" in said


def test_the_go_example_passes(run):
    if shutil.which("go") is None:
        pytest.skip("no Go")
    code, said = run("go", "test", "-count=1", "./...", example="go", GOPROXY="off", GOTOOLCHAIN="local")
    assert code == 0, said


def test_the_shell_example_passes(run):
    code, said = run("sh", "test.sh", example="shell")
    assert code == 0, said
    assert said.count("PASS") == 2


def test_a_failure_says_in_words_what_became_of_the_payload(run, folder):
    folder.mkdir()
    (folder / "test_failing.py").write_text(FAILING)
    code, said = run(*pytest_words("-q"))
    assert code == 1, said
    assert "assert archiver reports: cluster id not found" in said
    assert "payloads of this test" in said
    assert re.search(r"\d+ ms  ingress +success ", said)
    assert [line for line in said.splitlines() if "! " in line and "archiver" in line and "error" in line]
    assert "nothing of an upload of the service 'compliance' reaches archiver" in said
    assert "payloads.py" not in said.split("short test summary")[0]


async def test_an_async_test_reads_the_rules_report_of_its_upload(headrace, tmp_path):
    (sample,) = KINDS["insights"].generate(tmp_path, SampleOptions(seed=71))
    payload = await headrace.aio.upload(sample, cluster=SampleOptions(seed=71).cluster())
    await payload.wait(60)
    hits = await payload.reports()
    assert {"NODES_NOT_READY"} <= {hit["key"] for hit in hits}
    assert await payload.archived()
    assert {hop.service for hop in await payload.statuses()} >= {"ingress", "archiver", "results-aggregator"}


def test_a_test_reads_the_recommendations_of_its_upload(headrace, tmp_path):
    options = SampleOptions(seed=72, workloads=2)
    payload = headrace.upload(KINDS["cost"].generate(tmp_path, options)[0], cluster=options.cluster())
    found = payload.recommendations(60)
    assert {row["cluster_uuid"] for row in found} == {options.cluster()}


def test_a_refused_upload_raises_with_the_ingress_answer(headrace):
    with pytest.raises(Exception, match=r"answered 415 .*Unsupported service 'unheard-of'"):
        headrace.upload(b"any", type="application/vnd.redhat.unheard-of.x")
