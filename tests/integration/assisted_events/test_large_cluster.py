"""The document's Test 2: a cluster of 200 hosts, all of whose events are stored, queried, sent and received."""

import time
from pathlib import Path

import psutil

from headrace.archives.assisted import read_metadata
from headrace.contracts.assisted import event_id
from tests.integration.assisted_events.harness import ChildProcess, Endpoint

HOSTS, EVENTS = 200, 50_000
MAX_RSS_BYTES = 150 * 1000 * 1000


async def test_test_2_and_weak_point_memory_a_large_cluster_is_stored_queried_sent_and_received(
    postgres_url: str, database_name: str, endpoint: Endpoint, tmp_path: Path, record_property
) -> None:
    child = ChildProcess.of(postgres_url, database_name, tmp_path / "log", DATA_UPLOAD_ENDPOINT=endpoint.url)
    await child.start(ready_within_seconds=60)
    try:
        async with child.client() as sender:
            began = time.monotonic()
            (cluster_id,) = await sender.simulate(hosts=HOSTS, events=EVENTS)
            stored = time.monotonic()
            sending = await sender.in_state(cluster_id, "sent", within_seconds=100)
            sent = time.monotonic()
        process = psutil.Process(child.pid)
        peak = peak_rss_bytes(process)
    finally:
        await child.stop()
    assert (sending["hosts"], sending["events"]) == (HOSTS, EVENTS)
    (upload,) = endpoint.accepted
    members = upload.members
    events = members[f"{cluster_id}/events.json"]
    assert len(events) == EVENTS
    assert len(members[f"{cluster_id}/events/hosts.json"]) == HOSTS
    assert len({event_id(e["event_time"], cluster_id, e["message"]) for e in events}) == EVENTS

    async def chunks():
        yield upload.content

    assert (await read_metadata(chunks()))[cluster_id] == members[f"{cluster_id}/metadata.json"]
    assert peak < MAX_RSS_BYTES
    record_property(
        "figures",
        f"{HOSTS} hosts, {EVENTS} events: stored in {stored - began:.1f} s, queried, sent and received "
        f"{sent - stored:.1f} s later, peak RSS {peak / 1e6:.0f} MB, archive {sending['size_bytes'] / 1e6:.2f} MB",
    )


def peak_rss_bytes(process: psutil.Process) -> int:
    """The most it ever had, as Linux counts it."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")
