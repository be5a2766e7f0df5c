"""How many rows a listing has on all its pages: exact up to a bound, and PostgreSQL's estimate beyond it.

Counting them all would read every row of a table that grows for weeks, for a number that no one needs exactly.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from headrace.database.pool import Connection

EXACT_UP_TO: Final = 10_000
# The name that answers give the estimate, beside the number.
IS_ESTIMATE: Final = "count_is_estimate"


@dataclass(frozen=True)
class Count:
    """A number of rows; an estimate is never below the bound."""

    number: int
    is_estimate: bool = False

    def __add__(self, other: "Count") -> "Count":
        return Count(self.number + other.number, self.is_estimate or other.is_estimate)

    @property
    def note(self) -> dict[str, bool]:
        """What an answer says beside the number: nothing where it is exact."""
        return {IS_ESTIMATE: True} if self.is_estimate else {}


async def count_rows(connection: Connection, source: str, *arguments: Any, up_to: int = EXACT_UP_TO) -> Count:
    """Count the rows of ``source``, the text of a query from FROM on."""
    found = await connection.fetchval(
        f"select count(*) from (select {source} limit {up_to + 1}) as found",  # noqa: S608 -- the caller's
        *arguments,
    )
    if found <= up_to:
        return Count(found)
    plan = orjson.loads(await connection.fetchval(f"explain (format json) select {source}", *arguments))
    return Count(max(found, int(plan[0]["Plan"]["Plan Rows"])), is_estimate=True)
