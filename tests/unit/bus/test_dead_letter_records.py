from datetime import UTC, datetime

from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from headrace.bus.dead_letters import original_headers, parse, story
from headrace.bus.delivery import Delivery

SEEN = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
HEADERS = st.lists(st.tuples(st.text().filter(lambda name: not name.startswith("headrace.")), st.binary()))


def dead(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]], reason: str
) -> ConsumerRecord:
    delivery = Delivery("t", 2, 77, None, {}, SEEN, SEEN, attempt=3)
    told = story(delivery, service="archiver", group="g", error_class="Poison", reason=reason, value=value)
    stored = b"" if value is None else value
    return ConsumerRecord("t.dlq", 0, 5, 1_700_000_000_000, 0, key, stored, None, 0, 0, (*headers, *told))


@given(
    value=st.none() | st.binary(), key=st.none() | st.binary(), headers=HEADERS, reason=st.text(max_size=100)
)
def test_a_dead_letter_tells_its_story_and_keeps_the_original(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]], reason: str
):
    letter = parse(dead(value, key, headers, reason))
    assert (letter.value, letter.key, letter.headers) == (value, key, tuple(headers))
    assert (letter.original_topic, letter.original_partition, letter.original_offset) == ("t", 2, 77)
    assert (letter.service, letter.group, letter.error_class) == ("archiver", "g", "Poison")
    assert (letter.reason, letter.attempts, letter.first_seen) == (reason, 3, "2026-11-23T04:05:06Z")


def test_a_page_of_reason_is_cut_so_that_the_record_fits():
    assert len(parse(dead(b"", b"", [], "x" * 100_000)).reason) == 2000


def test_a_record_from_elsewhere_is_shown_as_far_as_it_goes():
    letter = parse(ConsumerRecord("a.dlq", 0, 1, 0, 0, b"k", b"v", None, 0, 0, ()))
    assert (letter.original_topic, letter.original_partition, letter.attempts) == ("a", -1, 0)


def test_our_own_headers_do_not_survive_a_redrive():
    assert original_headers([("headrace.topic", b"t"), ("service", b"x")]) == [("service", b"x")]
