"""Which stack a test run uses."""

import asyncio
import json
import subprocess

import pytest

from headrace.laptop.stack import _beginning_of, _stop_after
from headrace.runtime.errors import ConfigurationError
from headrace.testing import Places, Verdict
from headrace.testing.waiting import run_now

KNOWN = {
    "engines": {name: {"url": f"{name}-url"} for name in ("kafka", "s3", "postgres")},
    "services": {name: {"url": f"http://{name}"} for name in ("ingress", "payload_tracker", "archiver")},
}


def test_a_stack_elsewhere_is_given_by_what_urls_prints(tmp_path):
    file = tmp_path / "urls.json"
    file.write_text(json.dumps(KNOWN))
    places = Places.at(file)
    assert (places.kafka, places.s3, places.postgres) == ("kafka-url", "s3-url", "postgres-url")
    assert places.service("ingress") == "http://ingress"
    with pytest.raises(ConfigurationError, match="the stack has no ros_api; it has ingress, payload_tracker"):
        places.service("ros_api")


@pytest.mark.parametrize(
    ("content", "reason"),
    [("{", "expected what `headrace urls --json` prints"), ("{}", "lacks 'services'"), ("[]", "lacks")],
)
def test_a_file_that_is_something_else_is_named(tmp_path, content, reason):
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=f"{file}.*{reason}"):
        Places.at(file)


def test_a_directory_without_a_stack_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=f"no stack is running in {tmp_path}"):
        Places.at(tmp_path)


def test_a_verdict_shows_its_reason():
    assert repr(Verdict(False, "archiver reports: no cluster")) == "archiver reports: no cluster"
    assert not Verdict(False, "")
    assert Verdict(True, "")


def test_a_call_that_would_stop_an_async_test_says_what_to_use():
    async def inner():
        return 1

    async def outer():
        run_now(inner())

    assert run_now(inner()) == 1
    with pytest.raises(ConfigurationError, match=r"use headrace\.aio"):
        asyncio.run(outer())


async def test_a_stack_stops_when_the_process_that_it_is_for_has_ended():
    with subprocess.Popen(["sleep", "60"]) as process:  # noqa: ASYNC220
        stop = asyncio.Event()
        watching = asyncio.create_task(_stop_after(process.pid, _beginning_of(process.pid), stop))
        await asyncio.sleep(0.1)
        assert not stop.is_set()
        process.kill()
        process.wait()
    await asyncio.wait_for(watching, 20)
    assert stop.is_set()
    with pytest.raises(ConfigurationError, match=f"--while: got {process.pid}, expected the id of a running"):
        _beginning_of(process.pid)
