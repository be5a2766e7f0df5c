"""The checker finds what it is there to find."""

from typing import Any

import pytest

from tests.history import Seen, Sent, check

SENT = [Sent("a", "da", acknowledged=True), Sent("b", "db", acknowledged=False)]
GOOD: dict[str, Any] = {
    "archived": {"a": ["da"]},
    "synced": {"a": ["k", "k"]},
    "statuses": {"a": [("ingress", "success"), ("archiver", "success")]},
}


def test_a_kept_promise_has_nothing_broken():
    verdict = check(SENT, Seen(**GOOD))
    assert verdict.broken == []
    assert verdict.counts["acknowledged"] == 1
    assert verdict.counts["synced messages repeated"] == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"archived": {}}, "never archived"),
        ({"archived": {"a": ["da", "da"]}}, "archived 2 times"),
        ({"archived": {"a": ["da"], "b": ["db", "db"]}}, "archived 2 times"),
        ({"archived": {"a": ["dx"]}}, "other bytes"),
        ({"archived": {"a": ["da"], "z": ["dz"]}}, "never sent"),
        ({"synced": {"a": ["k", "l"]}}, "announced under"),
        ({"synced": {}}, "never announced"),
        ({"statuses": {"a": [("archiver", "received")]}}, "has no end"),
    ],
)
def test_a_broken_promise_is_named(change, text):
    verdict = check(SENT, Seen(**(GOOD | change)))
    assert len(verdict.broken) == 1
    assert text in verdict.broken[0]
