import base64
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.web.cursors import Cursor
from headrace.web.parameters import BadParameter

CURSOR = Cursor((datetime, int, str))


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50),
)
def test_a_cursor_is_read_as_it_was_written(moment: datetime, number: int, text: str):
    written = CURSOR.write(moment, number, text)
    assert CURSOR.read(written) == (moment, number, text)
    assert written.isascii()


@pytest.mark.parametrize(
    "values",
    [
        b"x",
        b"{}",
        orjson.dumps([1, 2, 3]),
        orjson.dumps(["2026-01-01T00:00:00", 1, "x"]),
        orjson.dumps(["2026-01-01T00:00:00Z", 2**63, "x"]),
        orjson.dumps(["2026-01-01T00:00:00Z", True, "x"]),
        orjson.dumps(["2026-01-01T00:00:00Z", 1, "a\0b"]),
        orjson.dumps(["2026-01-01T00:00:00Z", 1]),
    ],
)
def test_what_no_answer_gave_is_refused(values: bytes):
    for text in (base64.urlsafe_b64encode(values).decode(), values.decode(), "ü", "x" * 5000):
        with pytest.raises(BadParameter, match=r"cursor: is none that an answer gave as `next`"):
            CURSOR.parameter.read({"cursor": text})


def test_no_cursor_is_the_first_page():
    read: Any = CURSOR.parameter.read({})
    assert read is None
