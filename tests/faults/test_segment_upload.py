"""Uploads that are killed, and a Segment that answers everything there is: each event is sent or kept."""

import asyncio
import os
import random
import sys

import orjson
import pytest

from headrace.local.simulators.segment import SegmentFault, SegmentSimulator
from headrace_services.segment_bridge.dead_letters import contents_of
from tests.processes import ROOT
from tests.waiting import eventually

# Each upload is a Python to start.
pytestmark = pytest.mark.timeout(300)
EVENTS = 6000
BATCH_BYTES = 20_000
KILLS = 3


def events(count=EVENTS):
    return [
        orjson.dumps(
            {
                "messageId": f"m-{number}",
                "type": "track",
                "userId": "1",
                "event": "e",
                "properties": {"n": number},
            }
        )
        for number in range(count)
    ]


async def spawn(segment, tmp_path, source, *options, **environment):
    netrc = tmp_path / "netrc"
    if not netrc.exists():
        segment.write_netrc(netrc)
    with source.open("rb") as given, (tmp_path / "log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "headrace_services", "segment", "upload", *options,
            stdin=given, stdout=log, stderr=log, cwd=ROOT,
            env={
                **os.environ, "SEGMENT_BATCH_API": segment.batch_url, "CURL_NETRC": str(netrc),
                "SEGMENT_BATCH_DATA_SIZE": str(BATCH_BYTES), **environment,
            },
        )  # fmt: skip


class Slow(SegmentSimulator):
    """Takes a moment for each batch, so that there is something to kill."""

    async def _batch(self, request):
        await asyncio.sleep(0.01 * random.random() * 10)
        return await super()._batch(request)


async def test_uploads_killed_at_random_points_lose_nothing(tmp_path, record_property):
    source, ledger = tmp_path / "events", tmp_path / "ledger"
    source.write_bytes(b"\n".join(events()) + b"\n")
    kills, concurrency = 0, 4
    async with Slow() as segment:
        for _ in range(30):
            seen = segment.received
            process = await spawn(segment, tmp_path, source, "--ledger", str(ledger))
            finished = asyncio.create_task(process.wait())
            # Let it get to work, then a random while more.
            if kills < KILLS:
                await eventually(
                    lambda f=finished, s=seen: f.done() or segment.received > s, within_seconds=60
                )
                # The first is killed at once, or a quick machine would be done before.
                await asyncio.wait({finished}, timeout=random.random() if kills else 0)
            if kills < KILLS and not finished.done():
                process.kill()
                kills += 1
                await finished
                continue
            assert await finished == 0, (tmp_path / "log").read_text()[-2000:]
            break
        else:
            raise AssertionError("it never came to an end")
        per_batch = segment.largest_batch_events
        record_property(
            "figures",
            f"segment upload: {kills} kills, {EVENTS} events, {len(segment.ids)} at Segment, "
            f"{segment.duplicates} sent again (at most {kills * concurrency * per_batch} allowed)",
        )
        assert len(segment.ids) == EVENTS
        assert segment.duplicates <= kills * concurrency * per_batch
        assert kills >= 1


async def test_whatever_segment_answers_each_event_is_sent_or_kept(tmp_path, record_property):
    source, letters = tmp_path / "events", tmp_path / "letters"
    source.write_bytes(b"\n".join(events()))
    async with SegmentSimulator() as segment:
        kinds = [SegmentFault(status=status) for status in (400, 401, 403, 413, 429, 500, 503)]
        kinds += [SegmentFault(hang=True), SegmentFault(cut=True), SegmentFault(cut_after_taking=True)]
        segment.faults = [*random.choices(kinds, k=60), SegmentFault(status=401)]
        options = ("--dead-letters", str(letters), "--ledger", str(tmp_path / "ledger"))
        process = await spawn(
            segment, tmp_path, source, *options, SEGMENT_TIMEOUT_SECONDS="1", SEGMENT_CONCURRENCY="16"
        )
        assert await process.wait() == 1
        kept = {orjson.loads(line)["event"]["messageId"] for line in letters.read_bytes().splitlines()}
        sent, answers = set(segment.ids), dict(segment.requests)
        assert sent | kept == {f"m-{number}" for number in range(EVENTS)}
        summary = (tmp_path / "log").read_text().splitlines()[-1]

        # What was kept is sent later.
        again = tmp_path / "again"
        again.write_bytes(b"\n".join(contents_of(letters.read_bytes().splitlines(), rows=False)))
        process = await spawn(segment, tmp_path, again, *options)
        assert await process.wait() == 0
        assert len(segment.ids) == EVENTS
        record_property(
            "figures",
            f"segment upload: {EVENTS} events, answers {answers}, hangs and cuts; {len(sent)} sent at once, "
            f"{len(kept)} kept and sent later, 0 lost, {segment.duplicates} twice\n{summary}",
        )
