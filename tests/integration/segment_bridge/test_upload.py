"""The uploader and Segment's simulator over real HTTP: what each answer does to the events; the ledger."""

import asyncio
import time
from collections import Counter

import orjson
import pytest

from headrace.local.simulators.segment import SegmentFault, SegmentSimulator
from headrace.runtime.errors import ConfigurationError
from headrace_services.segment_bridge.batches import TOO_LARGE
from headrace_services.segment_bridge.client import Segment
from headrace_services.segment_bridge.dead_letters import DeadLetterFile, contents_of
from headrace_services.segment_bridge.ledger import ALREADY_SENT, DUPLICATE, SqliteLedger
from headrace_services.segment_bridge.settings import SegmentSettings
from headrace_services.segment_bridge.stages import event_of
from headrace_services.segment_bridge.transform import PULL_REQUEST
from headrace_services.segment_bridge.upload import REFUSED, UNSENT, Uploader


@pytest.fixture
async def segment():
    async with SegmentSimulator() as opened:
        yield opened


@pytest.fixture
def send(segment, tmp_path):
    """Upload events; gives what was counted, the dead letters and the client."""
    netrc = segment.write_netrc(tmp_path / "netrc")
    letters = tmp_path / "letters.jsonl"

    async def upload(events, *, ledger=None, resend=False, bury_unsent=False, **changes):
        settings = SegmentSettings(
            **{"url": segment.batch_url, "netrc": str(netrc), "attempts": 3, "batch_bytes": 2000, **changes}
        )
        letters.unlink(missing_ok=True)
        with DeadLetterFile(letters) as graveyard:
            async with Segment(settings) as client:
                uploader = Uploader(
                    client, graveyard, max_batch_bytes=settings.batch_bytes, concurrency=settings.concurrency,
                    ledger=ledger, resend=resend, bury_unsent=bury_unsent,
                )  # fmt: skip
                for start in range(0, len(events), 50):
                    await uploader.add(events[start : start + 50])
                uploaded = await uploader.finish()
            await graveyard.flush()
            return uploaded, graveyard.counts, letters.read_bytes().splitlines()

    return upload


def events(count, *, first=0, **changes):
    made = []
    for number in range(first, first + count):
        event = {
            "messageId": f"m-{number}", "timestamp": "2026-01-02T03:04:05Z", "namespace": "a", "type": "track",
            "userId": "1", "event": "Component created", "properties": {"n": number}, "context": None,
        } | changes  # fmt: skip
        made.append(event_of(orjson.dumps(event)))
    return made


async def test_every_event_arrives_once_in_batches_within_the_limits(segment, send):
    uploaded, buried, _ = await send(events(200))
    assert sorted(segment.ids) == sorted(f"m-{number}" for number in range(200))
    assert segment.largest_batch_bytes <= 2000
    assert (uploaded.sent, uploaded.unsent, segment.duplicates) == (200, 0, 0)
    assert uploaded.batches == segment.requests[200]
    assert not buried


async def test_requests_are_compressed_when_asked_for(segment, send):
    uploaded, _, _ = await send(events(100), gzip=True, batch_bytes=500_000)
    assert uploaded.sent == len(segment.ids) == 100
    assert segment.largest_batch_bytes > 10_000


async def test_no_events_make_no_request(segment, send):
    uploaded, _, _ = await send([])
    assert uploaded.sent == 0
    assert not segment.requests


async def test_weak_point_a_refused_batch_does_not_stop_the_following_ones(segment, send):
    segment.faults = [SegmentFault(status=401)]
    uploaded, buried, lines = await send(events(200), concurrency=1, bury_unsent=True)
    assert uploaded.failed_batches == 1
    assert uploaded.sent + uploaded.unsent == 200
    assert len(segment.ids) == uploaded.sent > 150
    assert buried == {UNSENT: uploaded.unsent}
    assert len(contents_of(lines, rows=False)) == uploaded.unsent
    # A wrong key is nobody's but ours: it was not asked again.
    assert segment.requests[401] == 1


async def test_the_events_at_fault_in_a_refused_batch_are_found_and_the_others_sent(segment, send):
    segment.poison = {"m-17", "m-130"}
    uploaded, buried, lines = await send(events(200), batch_bytes=500_000)
    assert uploaded.sent == len(segment.ids) == 198
    assert buried == {REFUSED: 2}
    assert {orjson.loads(event)["messageId"] for event in contents_of(lines, rows=False)} == segment.poison
    assert segment.requests[400] <= 32


async def test_a_segment_that_refuses_everything_costs_a_bounded_number_of_requests(segment, send):
    segment.refuse_all = 400
    uploaded, buried, _ = await send(events(200), batch_bytes=500_000)
    assert (uploaded.sent, buried) == (0, {REFUSED: 200})
    assert segment.requests[400] <= 70


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_passing_answer_is_tried_again_three_times_at_most(segment, send, status):
    fault = SegmentFault(status=status, headers={"Retry-After": "0"})
    segment.faults = [fault, fault]
    uploaded, _, _ = await send(events(3))
    assert (uploaded.sent, segment.requests[status], segment.requests[200]) == (3, 2, 1)

    segment.faults = [fault] * 3
    uploaded, _, _ = await send(events(3, first=10), retry_budget_seconds=20)
    assert (uploaded.sent, uploaded.unsent, segment.requests[status]) == (0, 3, 5)
    assert segment.faults == []


async def test_weak_point_retry_after_is_honoured_by_all_batches(segment, send):
    segment.faults = [SegmentFault(status=429, headers={"Retry-After": "2"})]
    began = time.monotonic()
    uploaded, _, _ = await send(events(100), concurrency=1)
    assert time.monotonic() - began >= 2
    assert uploaded.sent == 100


async def test_a_retry_after_beyond_the_budget_is_not_waited_for(segment, send):
    segment.refuse_all = 429
    segment.faults = [SegmentFault(status=429, headers={"Retry-After": "9999"})] * 50
    uploaded, _, _ = await send(events(20))
    assert uploaded.unsent == 20


async def test_a_segment_that_hangs_cuts_or_is_away_loses_nothing(segment, send):
    segment.faults = [SegmentFault(hang=True), SegmentFault(cut=True), SegmentFault(cut_after_taking=True)]
    uploaded, _, _ = await send(events(20), timeout_seconds=1, batch_bytes=500_000, attempts=4)
    assert (uploaded.sent, len(segment.ids), segment.duplicates) == (20, 20, 20)

    await segment.close()
    uploaded, buried, lines = await send(events(5), attempts=2, bury_unsent=True)
    assert (uploaded.sent, uploaded.unsent, buried) == (0, 5, {UNSENT: 5})
    assert "ClientConnectorError" in orjson.loads(lines[0])["reason"]


async def test_success_false_under_200_is_a_refusal(send, segment, monkeypatch):
    from headrace.web.errors import json_response

    monkeypatch.setattr(segment, "_take", lambda _request, _body: json_response({"success": False}))
    uploaded, buried, _ = await send(events(1))
    assert (uploaded.sent, buried) == (0, {REFUSED: 1})


async def test_batches_go_side_by_side_and_no_more_than_allowed(segment, send, monkeypatch):
    running, most = 0, 0
    take = segment._take

    async def slow(request):
        nonlocal running, most
        body = await request.read()
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return take(request, body)

    monkeypatch.setattr(segment, "_batch", slow)
    await segment.close()
    await segment.open()
    uploaded, _, _ = await send(events(400), concurrency=3)
    assert uploaded.sent == 400
    assert most == 3


async def test_a_resumed_upload_sends_only_what_was_not_sent(segment, send, tmp_path):
    async with SqliteLedger(tmp_path / "ledger") as ledger:
        segment.faults = [SegmentFault(status=401)]
        first, _, _ = await send(events(100), ledger=ledger, concurrency=1)
        assert first.unsent > 0
    async with SqliteLedger(tmp_path / "ledger") as ledger:
        second, _, _ = await send(events(120), ledger=ledger)
    assert second.skipped == {ALREADY_SENT: first.sent}
    assert second.sent == first.unsent + 20
    assert (len(segment.ids), segment.duplicates) == (120, 0)


async def test_the_documents_resending_is_a_setting(segment, send, tmp_path):
    async with SqliteLedger(tmp_path / "ledger") as ledger:
        for _ in range(2):
            uploaded, _, _ = await send(events(10), ledger=ledger, resend=True)
            assert uploaded.sent == 10
    assert segment.duplicates == 10


async def test_weak_point_a_pull_request_is_not_reported_again_under_another_id(segment, send, tmp_path):
    def pull_request(first):
        return events(1, first=first, event=PULL_REQUEST, properties={"merge_url": "https://git/1"})

    for resend in (False, True):
        async with SqliteLedger(tmp_path / f"ledger-{resend}") as ledger:
            await send(pull_request(1), ledger=ledger, resend=resend)
            # In one upload as well, before anything of it is in the ledger.
            both = [*pull_request(1), *pull_request(2), *pull_request(3)]
            uploaded, _, _ = await send(both, ledger=ledger, resend=resend)
            assert uploaded.skipped[DUPLICATE] == 2
            assert uploaded.sent == int(resend)
    assert list(segment.ids) == ["m-1"]


async def test_the_same_event_twice_in_one_upload_is_sent_once(segment, send, tmp_path):
    async with SqliteLedger(tmp_path / "ledger") as ledger:
        uploaded, _, _ = await send([*events(5), *events(5)], ledger=ledger, batch_bytes=500_000)
    assert (uploaded.sent, uploaded.skipped) == (5, {ALREADY_SENT: 5})
    assert max(segment.deliveries.values()) == 1


async def test_an_event_without_an_id_is_known_by_its_bytes(segment, send, tmp_path):
    async with SqliteLedger(tmp_path / "ledger") as ledger:
        await send(events(1, messageId=None), ledger=ledger)
        uploaded, _, _ = await send(events(2, messageId=None), ledger=ledger)
    assert uploaded.sent == 1
    assert segment.received == 2


async def test_the_ledger_forgets_what_is_old(send, tmp_path):
    async with SqliteLedger(tmp_path / "ledger") as ledger:
        await send(events(5), ledger=ledger)
        assert await ledger.prune(60) == 0
        assert await ledger.prune(-1) == 5
        uploaded, _, _ = await send(events(5), ledger=ledger)
    assert uploaded.sent == 5


async def test_an_event_of_more_than_32_kib_is_kept_whole(segment, send):
    large = event_of(orjson.dumps({"messageId": "large", "pad": "x" * 40_000}))
    uploaded, buried, lines = await send([large, *events(1)], batch_bytes=500_000)
    assert (uploaded.sent, buried) == (1, {TOO_LARGE: 1})
    assert contents_of(lines, rows=False) == [large[2]]


async def test_a_netrc_without_the_machine_is_an_error_before_anything_is_sent(send, tmp_path):
    (tmp_path / "other").write_text("machine example.com login x")
    with pytest.raises(ConfigurationError, match=r"CURL_NETRC: .* has no login for machine localhost"):
        await send(events(1), netrc=str(tmp_path / "other"))


async def test_the_simulator_discards_what_segment_does_and_still_says_200(segment, send):
    wrong = [
        *events(1, first=1, userId=None), *events(1, first=2, event=None), *events(1, first=3, event=7),
        *events(1, first=4, properties=[]), *events(1, first=5, messageId="x" * 100), *events(1, first=6, userId=8),
    ]  # fmt: skip
    uploaded, _, _ = await send([*wrong, *events(1)])
    assert (uploaded.sent, len(segment.ids)) == (7, 1)
    assert segment.discarded == Counter(
        no_user_anon_id=2,
        event_not_defined=1,
        event_not_string=1,
        properties_not_object=1,
        message_id_not_valid=1,
    )
