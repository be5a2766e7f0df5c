from datetime import UTC, datetime, timedelta, timezone

import pytest

from headrace_services.ros_poller.schedule import reason_to_wait


def at(day: int, hour: int = 0, minute: int = 0, *, month: int = 6) -> datetime:
    return datetime(2023, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("end", "stored", "wait"),
    [
        (at(3), at(2), None),
        (at(3, 12), at(2), None),
        (at(2, 23, 59), at(2), "23 of 24 hours since the stored recommendation"),
        (at(2), at(2), "already stored"),
        (at(1, 12), at(2), "the stored recommendation is newer"),
        # The first day of a month, once.
        (at(1, 0, 0, month=7), at(30, 23, 45), None),
        (at(1, 0, 15, month=7), at(1, 0, 0, month=7), "0 of 24 hours since the stored recommendation"),
        (at(1, 6), at(2), "the stored recommendation is newer"),
        (at(1, 6), at(1, 0, month=7), "the stored recommendation is newer"),
    ],
)
def test_what_is_stored_is_renewed_after_a_day_and_when_a_month_begins(
    end: datetime, stored: datetime, wait: str | None
) -> None:
    assert reason_to_wait(end, stored, 24) == wait


def test_days_are_those_of_utc() -> None:
    west = timezone(timedelta(hours=-5))
    assert reason_to_wait(datetime(2023, 6, 30, 20, tzinfo=west), at(30, 23), 24) is None
    assert reason_to_wait(datetime(2023, 7, 1, 1, tzinfo=timezone(timedelta(hours=5))), at(30, 19), 24)


def test_an_interval_of_no_hours_takes_everything_but_what_is_older() -> None:
    assert reason_to_wait(at(2, 0, 15), at(2), 0) is None
    assert reason_to_wait(at(2, 0), at(2, 0, 30), 0) == "the stored recommendation is newer"
