"""The disk below a whole local stack fills up, and somebody makes room: everything goes on by itself."""

import asyncio
import contextlib
import json
import os
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from headrace.contracts.identity import Identity, Internal, System, encode_identity
from headrace.runtime.settings import EngineSettings
from tests.e2e.command import Stack, starting
from tests.engines import s3_servers
from tests.faults.recording import FULL, RowRun
from tests.faults.test_history import tracked_statuses
from tests.faults.whole import settings_of
from tests.waiting import eventually

DISK_MEBIBYTES = 700
STATUS_EVERY_SECONDS = 5.0
BACK_WITHIN_SECONDS = 30.0
ARCHIVED_WITHIN_SECONDS = 60.0
PAYLOAD_BYTES = 200_000
NO_SPACE = "no space left on"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of its own, small enough to fill."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEBIBYTES}m", "headrace-disk", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here (root is needed): {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


class Sender:
    """Uploads of distinct bytes, and what was answered."""

    def __init__(self, session: aiohttp.ClientSession, ingress: str) -> None:
        self._session = session
        self._url = f"{ingress}/api/ingress/v1/upload"
        self.accepted: dict[str, str] = {}
        self.refused: list[tuple[int, str | None]] = []

    async def send(self) -> int:
        request_id, cluster = uuid.uuid4().hex, str(uuid.uuid4())
        identity = Identity(
            org_id="1", type="System", internal=Internal(org_id="1"), system=System(cluster_id=cluster)
        )
        headers = {"x-rh-identity": encode_identity(identity), "x-rh-insights-request-id": request_id}
        form = aiohttp.FormData()
        kind = "application/vnd.redhat.ols.periodic+tar"
        form.add_field("file", os.urandom(PAYLOAD_BYTES), filename="a", content_type=kind)
        async with self._session.post(self._url, data=form, headers=headers) as answer:
            if answer.status in {201, 202}:
                self.accepted[request_id] = cluster
            else:
                self.refused.append((answer.status, answer.headers.get("Retry-After")))
            return answer.status


@contextlib.asynccontextmanager
async def sender(stack: Stack) -> AsyncIterator[Sender]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Sender(session, stack.urls()["services"]["ingress"]["url"])


def fill(disk: Path) -> Path:
    """Take every block there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


async def keep_full(disk: Path, seconds: float, sender: Sender, stack: Stack) -> set[str]:
    """Uploads go on meanwhile, and whatever is freed is taken again; what `headrace status` said of the parts."""
    told: set[str] = set()
    full = time.monotonic()
    asked = 0.0
    while time.monotonic() - full < seconds:
        with (disk / "ballast").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            await sender.send()
        if time.monotonic() - asked > STATUS_EVERY_SECONDS:
            asked = time.monotonic()
            shown = await asyncio.to_thread(stack.run, "status", "--json")
            with contextlib.suppress(ValueError):
                told |= {f"{row['part']} {row['state']}: {row['detail']}" for row in json.loads(shown.stdout)}
        await asyncio.sleep(0.2)  # the sender's own pause
    return told


@pytest.mark.xdist_group("e2e")
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.row(29)
@pytest.mark.parametrize("server", sorted(s3_servers(), reverse=True)[: 2 if FULL else 1])
async def test_a_full_disk_is_survived_and_nothing_accepted_is_lost(server: str, disk: Path, row: RowRun):
    """The stack's own log is on that disk as well: a line that cannot be written fails no request."""
    with starting(disk / "stack", "--s3", server) as stack:
        stack.wait_until_said("\nready after ")
        async with sender(stack) as uploads:
            for _ in range(5):
                assert await uploads.send() == 202
            ballast = fill(disk)
            told = await keep_full(disk, row["full_seconds"], uploads, stack)
            assert uploads.refused, "no upload met the full disk"
            odd = [one for one in uploads.refused if one[0] not in {429, 503, 507} or not one[1]]
            assert odd == []

            ballast.unlink()
            freed = time.monotonic()

            async def taken() -> bool:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    return await uploads.send() == 202
                return False

            await eventually(taken, within_seconds=BACK_WITHIN_SECONDS, every_seconds=0.5)
            back = time.monotonic() - freed

            async def well() -> bool:
                shown = await asyncio.to_thread(stack.run, "status")
                assert shown.returncode == 0, shown.stdout
                return True

            await eventually(well, within_seconds=BACK_WITHIN_SECONDS, every_seconds=0.5)
            whole = time.monotonic() - freed
            await eventually(
                lambda: archived(settings_of(stack.directory), set(uploads.accepted)),
                within_seconds=ARCHIVED_WITHIN_SECONDS,
                every_seconds=0.5,
            )
            row.record(
                server=server,
                accepted=len(uploads.accepted),
                refused=len(uploads.refused),
                upload_taken_after_there_was_room_seconds=back,
                every_part_well_after_seconds=whole,
                states_shown=len({line.split(": ")[0] for line in told}),
                reasons_naming_the_disk=sum(NO_SPACE in line for line in told),
            )
            assert any(NO_SPACE in line for line in told), told


async def archived(settings: EngineSettings, wanted: set[str]) -> bool:
    """Whether each request has been archived, by the tracker's word."""
    statuses = await tracked_statuses(settings)
    left = [request_id for request_id in wanted if ("archiver", "success") not in statuses[request_id]]
    assert left == []
    return True
