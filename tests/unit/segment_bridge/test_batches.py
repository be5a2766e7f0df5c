"""What Segment takes in one request, and what is left of an upload."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from headrace_services.segment_bridge.batches import (
    MAX_BATCH_BYTES,
    MAX_EVENT_BYTES,
    TOO_LARGE,
    Batcher,
    payload,
)
from headrace_services.segment_bridge.dead_letters import DeadLetterFile, contents_of, letter
from headrace_services.segment_bridge.streams import _MAX_LINE_BYTES, Lines


def event(size: int, number: int = 0) -> tuple[str, str, bytes]:
    head = b'{"messageId":"%d","pad":"' % number
    return str(number), "", head + b"x" * max(0, size - len(head) - 2) + b'"}'


def batched(events, **options):
    graveyard = DeadLetterFile(None)
    batcher = Batcher(graveyard.bury, **options)
    batches = [*batcher.add(events)]
    return [*batches, *([last] if (last := batcher.rest()) else [])], graveyard.counts


@given(st.lists(st.integers(40, 900), max_size=60), st.integers(500, 3000))
def test_every_event_is_in_one_batch_in_order_and_no_batch_is_too_large(sizes, max_bytes):
    events = [event(size, number) for number, size in enumerate(sizes)]
    batches, buried = batched(events, max_bytes=max_bytes)
    fit = [item for item in events if len(item[2]) <= max_bytes - 12]
    assert [item for batch in batches for item in batch] == fit
    assert buried.get(TOO_LARGE, 0) == len(events) - len(fit)
    for number, batch in enumerate(batches):
        body = payload(batch)
        assert len(body) <= max_bytes
        assert [item["messageId"] for item in orjson.loads(body)["batch"]] == [item[0] for item in batch]
        if number + 1 < len(batches):
            # Greedy: the next one's first would not have fit.
            assert len(payload([*batch, batches[number + 1][0]])) > max_bytes


def test_weak_point_a_batch_has_at_most_2500_events():
    batches, _ = batched([event(40, number) for number in range(6000)])
    assert [len(batch) for batch in batches] == [2500, 2500, 1000]


def test_weak_point_a_batch_with_its_envelope_is_at_most_500_000_bytes_whatever_is_asked_for():
    exactly = [event(24_987, number) for number in range(20)]  # 20 events, 19 commas, 12 bytes around
    assert len(payload(exactly)) == 499_771
    filled = [*exactly[:-1], event(24_987 + MAX_BATCH_BYTES - 499_771, 19)]
    batches, _ = batched(filled, max_bytes=501_760)
    assert [len(payload(batch)) for batch in batches] == [500_000]
    batches, _ = batched([*filled[:-1], event(len(filled[-1][2]) + 1, 19)], max_bytes=501_760)
    assert len(batches) == 2


def test_weak_point_an_event_of_more_than_32_kib_is_buried_and_the_rest_is_sent():
    batches, buried = batched([event(100, 1), event(MAX_EVENT_BYTES + 1, 2), event(MAX_EVENT_BYTES, 3)])
    assert [[item[0] for item in batch] for batch in batches] == [["1", "3"]]
    assert buried == {TOO_LARGE: 1}


def test_no_events_make_no_batch():
    assert batched([]) == ([], {})


async def test_dead_letters_are_whole_and_come_back_as_they_were(tmp_path):
    path = tmp_path / "below" / "letters.jsonl"
    events = [b'{"messageId":"1","big":123456789012345}', b'{"messageId":"2","text":"\xc3\xa9"}']
    with DeadLetterFile(path) as graveyard:
        graveyard.bury(events[0], "too large", TOO_LARGE)
        graveyard.bury(b'{"result":\xff', "no JSON", "malformed")
    with DeadLetterFile(path) as graveyard:
        graveyard.bury(events[1], "refused", "refused")
        await graveyard.flush()
        lines = path.read_bytes().splitlines()
    assert [orjson.loads(line)["reason"] for line in lines] == ["too large", "no JSON", "refused"]
    assert contents_of(lines, rows=False) == events
    assert contents_of(lines, rows=True) == ['{"result":\ufffd'.encode()]


def test_a_row_that_is_json_but_no_event_is_kept_as_a_line():
    row = b'{"result":{"namespace":null}}'
    assert contents_of([letter(row, "why")], rows=True) == [row]
    assert contents_of([letter(row, "why"), b"torn {"], rows=False) == []


@given(st.binary(max_size=200), st.lists(st.integers(1, 50), max_size=20))
def test_lines_are_the_same_however_the_bytes_come(content, sizes):
    lines, found, rest = Lines(), [], content
    for size in sizes:
        found += lines.add(rest[:size])
        rest = rest[size:]
    found += lines.add(rest) + lines.end()
    expected = content.split(b"\n")
    assert found == (expected if expected[-1] else expected[:-1])


def test_a_line_beyond_any_bound_is_passed_on_in_part_and_what_follows_is_whole():
    lines = Lines()
    found = (
        lines.add(b"x" * (_MAX_LINE_BYTES + 1))
        + lines.add(b"y" * 10)
        + lines.add(b"y\nnext\nla")
        + lines.end()
    )
    assert [len(line) for line in found[:1]] == [_MAX_LINE_BYTES + 1]
    assert found[1:] == [b"next", b"la"]
