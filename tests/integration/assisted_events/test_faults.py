"""The assisted installer's sender against an endpoint that fails in every way, and killed at random points.

No cluster is lost: each ends as sent, or given up with its reason. An upload may come twice where the process died
between the endpoint's answer and the mark; both have one request id and the same bytes.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.assisted_events.harness import (
    ChildProcess,
    Endpoint,
    Sender,
    free_ports,
    open_sender,
)
from tests.proxy import TcpProxy
from tests.waiting import eventually

TOLD = "uploading events: upload to {url} returned status code {status} (body: reason)"


@pytest_asyncio.fixture
async def sender(postgres_url: str, database_name: str, endpoint: Endpoint) -> AsyncIterator[Sender]:
    async with open_sender(
        postgres_url, database_name, DATA_UPLOAD_ENDPOINT=endpoint.url, ASSISTED_UPLOAD_SECONDS="0.7",
        ASSISTED_MAX_ATTEMPTS="3",
    ) as opened:  # fmt: skip
        yield opened


@pytest.mark.parametrize("status", [400, 413])
async def test_weak_point_a_refused_cluster_is_given_up_at_once_with_its_reason(
    sender: Sender, endpoint: Endpoint, status: int
) -> None:
    endpoint.script = [(status, b"reason")]
    (cluster_id,) = await sender.simulate()
    sending = await sender.in_state(cluster_id, "given_up")
    assert sending["reason"] == TOLD.format(url=endpoint.url, status=status)
    assert sending["attempts"] == len(endpoint.received) == 1
    # It stays on record, and is sent when somebody has put right what was wrong.
    await sender.call("POST", f"/clusters/{cluster_id}/send")
    await sender.in_state(cluster_id, "sent")


@pytest.mark.parametrize(
    "fault",
    [
        (401, b"reason"),
        (403, b"reason"),
        (429, b"reason"),
        (503, b"reason"),
        (500, b"reason"),
        "hang",
        "drop mid-body",
    ],
    ids=str,
)
async def test_a_failing_endpoint_gets_the_cluster_later(
    sender: Sender, endpoint: Endpoint, fault: Any
) -> None:
    endpoint.script = [fault]
    (cluster_id,) = await sender.simulate()
    sending = await sender.in_state(cluster_id, "sent")
    assert sending["attempts"] == 2
    assert len({upload.content for upload in endpoint.received}) == 1
    assert len({upload.request_id for upload in endpoint.received}) == 1


async def test_weak_point_an_upload_whose_mark_was_lost_comes_once_more_and_is_recognised(
    sender: Sender, endpoint: Endpoint
) -> None:
    endpoint.script = ["drop after"]
    (cluster_id,) = await sender.simulate()
    await sender.in_state(cluster_id, "sent")
    first, second = endpoint.accepted
    assert (first.request_id, first.content) == (second.request_id, second.content)


async def test_weak_point_a_cluster_that_always_fails_is_given_up_and_holds_up_no_other(
    sender: Sender, endpoint: Endpoint
) -> None:
    (failing,) = await sender.simulate(events=1)
    await sender.in_state(failing, "sent")
    bad = endpoint.received[0].cluster_id
    await sender.call("POST", f"/clusters/{bad}/send")
    endpoint.script = [(500, b"reason")] * 3
    sending = await sender.in_state(bad, "given_up")
    assert sending["reason"] == TOLD.format(url=endpoint.url, status=500)
    assert len(endpoint.received) == 4
    (other,) = await sender.simulate()
    await sender.in_state(other, "sent")


async def test_an_endpoint_that_is_busy_costs_no_cluster_its_attempts(
    sender: Sender, endpoint: Endpoint
) -> None:
    endpoint.script = [(503, b"")] * 8
    (cluster_id,) = await sender.simulate()
    sending = await sender.in_state(cluster_id, "sent")
    assert sending["attempts"] == 9
    assert sending["failures"] == 0


@pytest.mark.parametrize("status", [401, 403])
async def test_an_expired_secret_costs_no_cluster_of_that_hour(
    sender: Sender, endpoint: Endpoint, status: int
) -> None:
    # More than each may fail: three times.
    endpoint.script = [(status, b"expired")] * 12
    made = await sender.simulate(clusters=2, events=1)
    for cluster_id in made:
        sending = await sender.in_state(cluster_id, "sent")
        assert sending["failures"] == 0
    assert len(endpoint.received) == 14


async def test_a_secret_that_nobody_renews_does_not_keep_a_cluster_for_ever(
    postgres_url: str, database_name: str, endpoint: Endpoint
) -> None:
    endpoint.script = [(403, b"reason")] * 3
    async with open_sender(
        postgres_url, database_name, DATA_UPLOAD_ENDPOINT=endpoint.url, ASSISTED_MAX_ATTEMPTS="3",
        ASSISTED_SECRET_DAYS="0",
    ) as sender:  # fmt: skip
        (cluster_id,) = await sender.simulate(events=1)
        sending = await sender.in_state(cluster_id, "given_up")
        assert sending["reason"] == TOLD.format(url=endpoint.url, status=403)
        assert sending["attempts"] == 3


async def test_retry_after_is_honoured_for_every_cluster(sender: Sender, endpoint: Endpoint) -> None:
    times: list[float] = []
    endpoint.on_upload = lambda _: times.append(asyncio.get_running_loop().time())
    endpoint.script = [(429, b"", {"Retry-After": "2"})]
    made = await sender.simulate(clusters=3)
    for cluster_id in made:
        await sender.in_state(cluster_id, "sent")
    assert len(times) == 4
    assert times[1] - times[0] >= 2


async def test_weak_point_a_blip_of_the_probe_skips_nothing(sender: Sender, endpoint: Endpoint) -> None:
    endpoint.probe_drops = 2
    (cluster_id,) = await sender.simulate()
    await sender.in_state(cluster_id, "sent")
    assert endpoint.probes == 3


async def test_an_endpoint_that_is_away_is_waited_for(
    postgres_url: str, database_name: str, endpoint: Endpoint
) -> None:
    (port,) = free_ports(1)
    target = endpoint.url.removeprefix("http://").partition("/")[0]
    async with (
        TcpProxy.open(target, port) as proxy,
        open_sender(
            postgres_url, database_name, DATA_UPLOAD_ENDPOINT=f"http://127.0.0.1:{port}/upload"
        ) as sender,
    ):
        await proxy.refuse()
        (first,) = await sender.simulate()

        async def explained() -> bool:
            found = [(sending["state"], sending["reason"]) for sending in await sender.sendings(first)]
            return found == [("waiting", "the endpoint does not answer")]

        await eventually(explained, within_seconds=60)
        assert (await sender.sendings(first))[0]["attempts"] == 0
        await proxy.restore()
        (second,) = await sender.simulate()
        for cluster_id in (first, second):
            await sender.in_state(cluster_id, "sent")
    assert len(endpoint.received) == 2


async def test_weak_point_credentials_that_cannot_be_read_are_tried_again_then_given_up(
    sender: Sender, endpoint: Endpoint
) -> None:
    (cluster_id,) = await sender.simulate()
    await sender.in_state(cluster_id, "sent")
    await sender.execute("update clusters set pull_secret = '{' where id = $1", cluster_id)
    await sender.call("POST", f"/clusters/{cluster_id}/send")
    sending = await sender.in_state(cluster_id, "given_up")
    assert "workload pull secret: pull secret must be a well-formed JSON" in sending["reason"]
    assert len(endpoint.received) == 1


async def test_postgresql_that_cuts_every_connection_costs_no_cluster(
    sender: Sender, endpoint: Endpoint
) -> None:
    made = await sender.simulate(clusters=10, events=40)
    for _ in range(5):
        await sender.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await asyncio.sleep(0.1)

    async def all_sent() -> bool:
        status, answer = await sender.ask("GET", "/sendings")
        states = [sending["state"] for sending in answer["data"]] if status == 200 else []
        return states == ["sent"] * len(made)

    await eventually(all_sent, within_seconds=90)
    assert {upload.cluster_id for upload in endpoint.accepted} == set(made)


@pytest.mark.timeout(240)
async def test_killed_at_random_points_before_a_failing_endpoint_no_cluster_is_lost(
    postgres_url: str, database_name: str, endpoint: Endpoint, tmp_path: Path, record_property
) -> None:
    kills, clusters = 4, 24
    child = ChildProcess.of(
        postgres_url, database_name, tmp_path / "log", DATA_UPLOAD_ENDPOINT=endpoint.url,
        ASSISTED_UPLOAD_SECONDS="1", ASSISTED_MAX_ATTEMPTS="50",
    )  # fmt: skip
    faults = [
        (503, b""),
        (429, b""),
        (500, b""),
        "drop mid-body",
        "drop after",
        "hang",
        (401, b"no"),
        (413, b"no"),
    ]
    endpoint.script = [random.choice([*faults, (202, b""), (202, b"")]) for _ in range(2 * clusters)]
    await child.start(ready_within_seconds=60)
    try:
        async with child.client() as sender:
            made = await sender.simulate(clusters=clusters, events=30)
        for number in range(kills):
            # The last ones at the worst point: accepted, and not marked.
            before = len(endpoint.accepted)
            if number >= kills // 2:
                await eventually(
                    lambda before=before: len(endpoint.accepted) > before or not endpoint.script,
                    within_seconds=30,
                )
            else:
                await asyncio.sleep(random.uniform(0, 0.5))
            await child.kill()
            await child.start(ready_within_seconds=60)
        async with child.client() as sender:

            async def ended() -> list[dict[str, Any]] | None:
                found = await sender.sendings()
                return found if all(row["state"] in {"sent", "given_up"} for row in found) else None

            rows = await eventually(
                ended, within_seconds=120, describe="every cluster ended", every_seconds=0.2
            )
    finally:
        await child.stop()
    assert rows
    assert {row["cluster_id"] for row in rows} == set(made)
    states = {row["cluster_id"]: row["state"] for row in rows}
    accepted = Counter(upload.cluster_id for upload in endpoint.accepted)
    assert not [
        cluster_id for cluster_id in made if states[cluster_id] == "sent" and not accepted[cluster_id]
    ]
    assert all("413" in row["reason"] for row in rows if row["state"] == "given_up")
    again = {cluster_id: count for cluster_id, count in accepted.items() if count > 1}
    for cluster_id in again:
        uploads = [upload for upload in endpoint.accepted if upload.cluster_id == cluster_id]
        assert len({(upload.request_id, upload.content) for upload in uploads}) == 1
    ends = Counter(states.values())
    record_property(
        "figures",
        f"{clusters} clusters, {kills} kills, {2 * clusters} scripted answers: {ends['sent']} sent, "
        f"{ends['given_up']} refused with their reason, 0 lost; {len(endpoint.received)} uploads, "
        f"{sum(again.values()) - len(again)} accepted again, recognised by request id and bytes",
    )
