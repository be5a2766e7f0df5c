import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from headrace.local import install
from headrace.local.ports import EnginePorts, check_free
from headrace.local.stack import Engines
from headrace.local.supervisor import PATIENCE, RestartBudget
from headrace.run_file import read_run
from headrace.runtime.errors import ConfigurationError
from tests.calibration import Calibration
from tests.disks import small_disk
from tests.integration.local.clients import is_kept, keep_object, keep_something, kept_object
from tests.waiting import eventually

PARENT = Path(__file__).with_name("parent_to_kill.py")
STOPPED_SECONDS = 40.0
NOT_STARTED: dict[Any, str] = {
    "kafka": "127.0.0.1:1",
    "s3": "http://a:b@127.0.0.1:1",
    "postgres": "postgresql://127.0.0.1:1/x",
}

minio = pytest.param(
    "minio",
    marks=pytest.mark.skipif(
        not (install.find_minio() or install.can_build_minio()), reason="no MinIO and no Go to build it with"
    ),
)


def only(name):
    """All engines but one are said to be somebody else's."""
    return {other: url for other, url in NOT_STARTED.items() if other != name}


def pid_of(stack, name):
    return next(status.pid for status in stack.describe() if status.name == name)


def state_of(stack, name):
    return next(status.state for status in stack.describe() if status.name == name)


@pytest.mark.row(32)
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_data_outlives_a_killed_parent_a_restart_on_other_ports_and_a_stop_of_forty_seconds(
    tmp_path, capsys
):
    """A killed parent leaves no orphan, and the next start recovers. The patience is the one that is shipped."""
    ports = EnginePorts.random()
    await start_and_kill(tmp_path, ports)
    async with Engines(tmp_path, ports) as stack:
        with capsys.disabled():
            print(f"start after a kill: {stack.ready_after_seconds:.1f} s")
        assert [status.state for status in stack.describe()] == ["ready", "ready", "ready"]
        await keep_something(stack.environment())
        pids = [status.pid for status in stack.describe()]
    assert not any(psutil.pid_exists(pid) for pid in pids)

    async with Engines(tmp_path, EnginePorts.random()) as stack:
        with capsys.disabled():
            print(f"next start: {stack.ready_after_seconds:.1f} s")
        assert stack.ready_after_seconds < Calibration().wall(60)
        assert await is_kept(stack.environment())
        await stop_for_a_while([status.pid for status in stack.describe()])
        await eventually(
            lambda: all(status.state == "ready" for status in stack.describe()), within_seconds=60
        )
        assert await is_kept(stack.environment())
    # Thirty seconds of silence are enough: a machine that is only busy answers sometimes.
    assert PATIENCE.silent_seconds < STOPPED_SECONDS


async def start_and_kill(directory, ports):
    """A stack of another process, which is killed."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, str(PARENT), str(directory), str(ports.kafka), stdout=asyncio.subprocess.PIPE
    )
    assert await asyncio.wait_for(parent.stdout.readline(), 60) == b"ready\n"
    children = [psutil.Process(part["pid"]) for part in read_run(directory)["engines"]]
    offspring = [grandchild for child in children for grandchild in child.children(recursive=True)] + children
    assert len(offspring) > 3
    parent.kill()
    await parent.wait()
    await eventually(lambda: not any(map(lives, offspring)), describe="no child is left")
    assert read_run(directory) is None


async def stop_for_a_while(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(STOPPED_SECONDS)  # the length is what is tried
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("server", [minio])
async def test_objects_of_the_other_s3_server_outlive_a_restart_too(server, tmp_path):
    """Kafka and PostgreSQL are the same beside either."""
    async with Engines(tmp_path, EnginePorts.random(), s3=server, given=only("s3")) as stack:
        await keep_object(stack.environment()["HEADRACE_S3"])
        pid = pid_of(stack, "s3")
    assert not psutil.pid_exists(pid)
    async with Engines(tmp_path, EnginePorts.random(), given=only("s3")) as stack:
        assert stack.describe()[1].product == "MinIO"
        assert await kept_object(stack.environment()["HEADRACE_S3"]) == b"object"


async def test_objects_of_one_s3_server_are_not_handed_to_another(tmp_path):
    async with Engines(tmp_path, EnginePorts.random(), s3="seaweedfs", given=only("s3")):
        pass
    with pytest.raises(ConfigurationError, match="contains objects of SeaweedFS, not of MinIO"):
        async with Engines(tmp_path, EnginePorts.random(), s3="minio", given=only("s3")):
            pass
    async with Engines(tmp_path, EnginePorts.random(), given=only("s3")) as stack:
        assert stack.describe()[1].product == "SeaweedFS"


async def test_a_start_that_cannot_succeed_leaves_no_directory_behind(tmp_path):
    ports, place = EnginePorts.random(), tmp_path / "new"
    with (
        socket.create_server(("127.0.0.1", ports.postgres)),
        pytest.raises(ConfigurationError, match=rf"port {ports.postgres} for PostgreSQL is in use"),
    ):
        async with Engines(place, ports):
            pass
    assert not place.exists()
    with (
        socket.create_server(("127.0.0.1", ports.kafka)),
        pytest.raises(ConfigurationError, match=rf"port {ports.kafka} for ingress is in use"),
    ):
        async with Engines(place, ports, given=only("postgres"), other_ports={"ingress": ports.kafka}):
            pass
    assert not place.exists()


async def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file/new cannot be written \(Not a directory\)"):
        async with Engines(tmp_path / "file" / "new", EnginePorts.random()):
            pass


async def test_a_disk_without_room_is_named_before_anything_is_created(tmp_path):
    with small_disk(tmp_path) as disk:
        if not disk.mounted:
            pytest.skip("mounting needs root")
        with pytest.raises(ConfigurationError, match=rf"no space left on {disk.path}: \d+ MiB free"):
            async with Engines(disk.path / "new", EnginePorts.random()):
                pass
        assert disk.used_by_others == []


async def test_a_program_that_cannot_be_had_leaves_no_directory_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    for name in ("HEADRACE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match=r"the home directory .*nobody does not exist"):
        async with Engines(tmp_path / "new", EnginePorts.random(), given=only("kafka")):
            pass
    assert not (tmp_path / "new").exists()


async def test_port_in_use_names_its_holder(tmp_path):
    ports = EnginePorts.random()
    with (
        socket.create_server(("127.0.0.1", ports.postgres)),
        pytest.raises(ConfigurationError, match=rf"port {ports.postgres}.*PostgreSQL.*pid {os.getpid()} \("),
    ):
        async with Engines(tmp_path, ports, given=only("postgres")):
            pass
    check_free(ports.postgres, "nothing")
    async with Engines(tmp_path, ports, given=only("postgres")) as stack:
        assert state_of(stack, "postgres") == "ready"


async def test_given_urls_start_nothing(tmp_path):
    async with Engines(tmp_path, EnginePorts.random(), given=NOT_STARTED) as stack:
        assert [status.pid for status in stack.describe()] == [None, None, None]
        assert stack.environment()["HEADRACE_S3"] == "http://a:b@127.0.0.1:1"
        assert stack.describe()[1].address == "http://127.0.0.1:1"


@pytest.mark.row(27)
async def test_child_that_keeps_dying_is_given_up_visibly(tmp_path):
    said = []
    async with Engines(
        tmp_path,
        EnginePorts.random(),
        given=only("postgres"),
        progress=said.append,
        budget=RestartBudget(restarts=1, seconds=60),
    ) as stack:
        first = pid_of(stack, "postgres")
        os.kill(first, signal.SIGKILL)
        await eventually(
            lambda: pid_of(stack, "postgres") not in (first, None) and state_of(stack, "postgres") == "ready"
        )
        os.kill(pid_of(stack, "postgres"), signal.SIGKILL)
        await eventually(lambda: state_of(stack, "postgres") == "failed")
        assert read_run(tmp_path)["engines"][2]["state"] == "failed"
        assert "stays down" in said[-1]


async def test_directory_in_use_names_its_holder(tmp_path):
    async with Engines(tmp_path, EnginePorts.random(), given=NOT_STARTED):
        with pytest.raises(ConfigurationError, match=rf"in use by pid {os.getpid()} \("):
            async with Engines(tmp_path, EnginePorts.random(), given=NOT_STARTED):
                pass
    async with Engines(tmp_path, EnginePorts.random(), given=NOT_STARTED):
        pass


async def test_other_processes_read_what_runs(tmp_path):
    assert read_run(tmp_path) is None
    async with Engines(tmp_path, EnginePorts.random(), given=only("postgres")) as stack:
        stack.publish(services=[{"name": "ingress"}])
        run = read_run(tmp_path)
        assert run["ready"]
        assert run["services"] == [{"name": "ingress"}]
        assert run["engines"][2]["pid"] == pid_of(stack, "postgres")
    assert read_run(tmp_path) is None


def lives(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
