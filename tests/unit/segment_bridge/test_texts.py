"""JSON texts as jq takes them, however they stand on lines."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_services.segment_bridge.texts import Texts, several

ROWS = [{"result": {"namespace": "a}{b", "properties": '{"x": "\\"["}'}}, {"preview": False, "lastrow": True}]


def texts_of(content: bytes) -> list[bytes]:
    texts = Texts()
    return [*texts.of(content.split(b"\n")), *texts.end()]


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(map(json.dumps, ROWS)),
        "\ufeff" + "\n".join(map(json.dumps, ROWS)),
        "\n\n".join(json.dumps(row, indent=2) for row in ROWS),
        "\r\n".join(json.dumps(row, indent=2).replace("\n", "\r\n") for row in ROWS),
        " ".join(json.dumps(row, indent=2) for row in ROWS),
        "".join(json.dumps(row, indent=2) for row in ROWS),
        "\ufeff" + json.dumps(ROWS[0], indent="\t") + json.dumps(ROWS[1]),
        json.dumps(ROWS[0]) + json.dumps(ROWS[1], indent=2),
    ],
)
def test_pretty_printed_joined_and_marked_texts_are_read(content: str):
    # Several on one line that look like one are taken apart by who fails to read them.
    found = [part for text in texts_of(content.encode()) for part in several(text) or [text]]
    assert [json.loads(text) for text in found] == ROWS


@pytest.mark.parametrize(
    "cut", [b'{"result":{', b'{"result": {"namespace": "a', b'{\n  "result": {', b"}", b"[", b"x"]
)
def test_a_text_that_was_cut_off_swallows_none_that_follow(cut: bytes):
    row = json.dumps(ROWS[0]).encode()
    found = texts_of(cut + b"\n" + row + b"\n" + row)
    assert found[-2:] == [row, row]
    assert b" ".join(found[:-2]).split() == cut.split()


def test_a_text_without_an_end_is_kept():
    assert texts_of(b'{"result":\n{') == [b'{"result": {']


@given(st.binary(max_size=200))
def test_nothing_is_lost_but_blanks(content: bytes):
    kept = b"".join(texts_of(content)).split()
    assert b"".join(kept) == b"".join(content.removeprefix(b"\xef\xbb\xbf").split())
