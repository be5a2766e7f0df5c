"""Values as people read them, whoever wrote them."""

from datetime import timedelta

import pytest

from headrace_services.console import words
from tests.unit.console.made import NOW


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("ümläut 中文", "ümläut 中文"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("photo\u202egnp.exe", "photo\\u202egnp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\x00nul", "\\x00nul"),
        ("half \ud800", "half \\ud800"),
        ("\U000e0041tag", "\\U000e0041tag"),
        (None, ""),
        (7, "7"),
    ],
)
def test_what_hides_is_made_visible(text, shown):
    assert words.visible(text) == shown


def test_a_long_text_is_cut_and_says_so():
    assert words.visible("x" * 1_000_000, 100) == "x" * 100 + "… (999900 more characters)"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0123, "12 ms"), (1, "1.0 s"), (9.96, "10.0 s"), (59, "59 s"), (200, "3 min 20 s"), (3600, "1 h"),
     (90061, "1 d 1 h"), (-5, "-5.0 s")],
)  # fmt: skip
def test_durations(seconds, shown):
    assert words.span(seconds) == shown


def test_ages():
    assert words.ago(NOW, NOW + timedelta(seconds=0.5)) == "now"
    assert words.ago(NOW, NOW + timedelta(minutes=2)) == "2 min ago"
    assert words.ago(NOW + timedelta(hours=2), NOW) == "in 2 h"


@pytest.mark.parametrize(
    ("value", "kind"),
    [(b'{"a":1}', "JSON"), (b"text", "text"), (b"\xff\xfe\x00", "hex"), (None, "none"), (b"a\0b", "hex"),
     (b"[" * 100_000, "text"), (b"", "text")],
)  # fmt: skip
def test_bytes_are_shown_as_what_they_are(value, kind):
    assert words.content(value, 64 << 10)[0] == kind


def test_a_text_that_is_cut_within_a_character_is_text():
    assert words.content("ä".encode() * 10, 5) == ("text", "ää")


def test_what_gives_access_is_masked():
    url = "https://s3/x?X-Amz-Signature=abc&X-Amz-Credential=me"
    shown = words.mask(f'{{"b64_identity": "c2VjcmV0", "url": "{url}", "token": "Bearer abcdef"}}')
    assert not [secret for secret in ("c2VjcmV0", "=abc", "=me", "abcdef") if secret in shown]
