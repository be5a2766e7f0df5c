"""When a workload's recommendations are due."""

from datetime import UTC, datetime, timedelta

_HOUR = timedelta(hours=1)


def reason_to_wait(end: datetime, stored_end: datetime, interval_hours: int) -> str | None:
    """Return why usage up to ``end`` does not renew what is stored up to ``stored_end``; None if it does.

    A renewal is due after a number of whole hours, and once on the first day of a month.
    """
    hours = (end - stored_end) // _HOUR
    if hours >= interval_hours:
        return None
    day, stored_day = end.astimezone(UTC).date(), stored_end.astimezone(UTC).date()
    if day.day == 1 and day > stored_day:
        return None
    if end == stored_end:
        return "already stored"
    if end < stored_end:
        return "the stored recommendation is newer"
    return f"{hours} of {interval_hours} hours since the stored recommendation"
