"""The services' clock jumps an hour forward and back under load: nothing waits for it, nothing accepted is lost."""

import asyncio
import mmap
import shutil
import struct
import time
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from headrace.contracts.announcement import Announcement
from headrace.contracts.topics import UPLOAD_ANNOUNCE
from tests.faults.sending import Payload, sending
from tests.faults.whole import Whole
from tests.integration.bus.flow import Flow as BusFlow
from tests.waiting import eventually

HOUR = 3600
SHIM = Path(__file__).with_name("clock_shim.c")
NAMES = ("ingress", "payload_tracker", "archiver")
PAYLOADS = [
    Payload(
        "ols", "application/vnd.redhat.ols.periodic+tar", f"00000000-0000-0000-0000-{n:012}", b"x" * (900 + n)
    )
    for n in range(4)
]


class Clock:
    """How many seconds the wall clock of whoever has the shim is off."""

    def __init__(self, directory):
        self.path = directory / "clock-offset"
        self.path.write_bytes(struct.pack("q", 0))
        with self.path.open("r+b") as file:
            self._mapped = mmap.mmap(file.fileno(), 8)

    def jump(self, seconds):
        self._mapped[:] = struct.pack("q", seconds)


async def compiled(directory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here: the clock of a process cannot be moved")
    library = directory / "clock_shim.so"
    process = await asyncio.create_subprocess_exec(
        compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", str(library), str(SHIM), "-ldl"
    )
    assert await process.wait() == 0
    return library


async def announced(whole):
    """Every announcement, with the moment its URL was signed."""
    reading = BusFlow(whole.settings, None, None, "", "")
    found = []
    for record in await reading.records(UPLOAD_ANNOUNCE.name):
        message = Announcement.from_json(record.value)
        signed = parse_qs(urlsplit(message.url).query)["X-Amz-Date"][0]
        found.append((message.request_id, message.url, signed))
    return found


@pytest.mark.full
@pytest.mark.row(30)
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_clock_that_jumps_an_hour_stops_nothing_for_longer_than_it_is_wrong(tmp_path, row):
    library, clock = await compiled(tmp_path), Clock(tmp_path)
    preloaded = {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(clock.path)}
    async with AsyncExitStack() as closing:
        whole = Whole(tmp_path, NAMES, **preloaded)
        await whole.start(closing)
        pids = {name: process.pid for name, process in whole.services.items()}
        slowest, wrong = 0.0, []
        async with sending(whole.url, PAYLOADS, tries=40, pause_seconds=0.05) as load:
            for seconds in (HOUR, 0, -HOUR, 0):
                clock.jump(seconds)
                began, before = time.monotonic(), len(load.answers)
                # While it is wrong the S3 server may refuse what is signed with it: then 503, in time.
                await eventually(
                    lambda before=before: len(load.answers) > before + row["uploads"], within_seconds=90
                )
                if seconds:
                    answers = load.answers[before:]
                    wrong += [answer.status for answer in answers]
                    slowest = max(slowest, *(answer.seconds for answer in answers))
                else:
                    accepted = len(load.acknowledged)
                    await eventually(
                        lambda accepted=accepted: len(load.acknowledged) > accepted + len(PAYLOADS),
                        within_seconds=60,
                        describe="uploads are accepted again",
                    )
                    recovered = time.monotonic() - began
        settled = await whole.all_ended(load)
        verdict = await whole.verdict(load)
        assert verdict.broken == []
        assert {name: process.pid for name, process in whole.services.items()} == pids
        assert set(wrong) <= {202, 503}
        assert slowest < 30

        # Presigned URLs are issued anew: the same id again is announced with a URL that is signed now, and works.
        upload, payload = load.acknowledged[-1]
        assert await resent(whole, upload, payload) == 202
        urls = [url for request_id, url, _ in await announced(whole) if request_id == upload.request_id]
        assert len(set(urls)) >= 2
        async with aiohttp.ClientSession() as session, session.get(urls[-1]) as response:
            assert await response.read() == payload.content
        row.record(
            jumps=4,
            answers_while_wrong={status: wrong.count(status) for status in sorted(set(wrong))},
            slowest_answer_seconds=slowest,
            accepted_again_seconds=recovered,
            last_ended_after_load_seconds=settled,
            lost=0,
        )


async def resent(whole, upload, payload):
    from headrace.laptop.uploads import as_organisation

    headers = as_organisation("1", payload.cluster_id) | {"x-rh-insights-request-id": upload.request_id}
    form = aiohttp.FormData()
    form.add_field("file", payload.content, filename="a.tar.gz", content_type=payload.content_type)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{whole.url}/api/ingress/v1/upload", data=form, headers=headers) as response,
    ):
        return response.status
