"""Until when minor versions of OpenShift Container Platform 4 are maintained.

Source: Red Hat OpenShift Container Platform Life Cycle Policy,
https://access.redhat.com/support/policy/updates/openshift ("Life Cycle Dates"), as listed by endoflife.date
(product red-hat-openshift) in June 2025; 4.19 to 4.21 and the second extended terms as published in March 2026.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

AS_OF: Final = date(2026, 3, 1)
"""The day of the newest entry; what came out later is unknown here."""

_VERSION: Final = re.compile(r"(\d{1,3})\.(\d{1,3})(?:[.\-+]|\Z)")


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The last days of maintenance and, where sold, of extended update support (both terms included)."""

    maintenance_ends: date
    extended_ends: date | None = None


TABLE: Final[dict[tuple[int, int], Lifecycle]] = {
    (4, 1): Lifecycle(date(2020, 5, 5)),
    (4, 2): Lifecycle(date(2020, 7, 13)),
    (4, 3): Lifecycle(date(2020, 10, 27)),
    (4, 4): Lifecycle(date(2021, 2, 24)),
    (4, 5): Lifecycle(date(2021, 7, 27)),
    (4, 6): Lifecycle(date(2022, 10, 27)),
    (4, 7): Lifecycle(date(2022, 8, 24)),
    (4, 8): Lifecycle(date(2023, 1, 27), date(2023, 4, 27)),
    (4, 9): Lifecycle(date(2023, 4, 18)),
    (4, 10): Lifecycle(date(2023, 9, 10)),
    (4, 11): Lifecycle(date(2024, 2, 10)),
    (4, 12): Lifecycle(date(2024, 7, 17), date(2026, 1, 17)),
    (4, 13): Lifecycle(date(2024, 11, 17)),
    (4, 14): Lifecycle(date(2025, 5, 1), date(2026, 10, 31)),
    (4, 15): Lifecycle(date(2025, 8, 27)),
    (4, 16): Lifecycle(date(2025, 12, 27), date(2027, 6, 27)),
    (4, 17): Lifecycle(date(2026, 4, 1)),
    (4, 18): Lifecycle(date(2026, 8, 25), date(2028, 2, 25)),
    (4, 19): Lifecycle(date(2026, 12, 17)),
    (4, 20): Lifecycle(date(2027, 4, 21), date(2028, 10, 21)),
    (4, 21): Lifecycle(date(2027, 8, 3)),
}
OLDEST: Final = min(TABLE)


def minor_of(version: str) -> tuple[int, int] | None:
    """Return the major and minor number of a version like 4.16.12 or 4.17.0-rc.1, or None."""
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2])) if match else None
