"""Recommendations in the ROS database. One statement per table saves round trips."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import orjson

from headrace.bus.delivery import plain
from headrace.contracts.kruize import MEASUREMENT_MINUTES
from headrace.contracts.ros import ExperimentType
from headrace.database.partitions import Partitions
from headrace.database.pool import Database
from headrace.ros import PARTITION_MAKER
from headrace.ros.columns import CURRENT_COLUMNS, PERCENTAGE_COLUMNS
from headrace.ros.metrics import PARTITION_MISSING, database_errors_counted
from headrace_services.ros_poller.rows import StoredRecommendation

_SHORT_TERM: Final = timedelta(days=1)
_ROW: Final = (
    "monitoring_start_time",
    "monitoring_end_time",
    "recommendations",
    *CURRENT_COLUMNS,
    *PERCENTAGE_COLUMNS,
)
_HISTORY_ROW: Final = (
    "org_id",
    "workload_id",
    "monitoring_start_time",
    "monitoring_end_time",
    "recommendations",
)


@dataclass(frozen=True)
class _Tables:
    """The tables of one kind of experiment.

    ``present`` has the current rows, ``history`` all; ``name`` is the column of the name, ``key`` are the unique
    columns.
    """

    present: str
    history: str
    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def upsert(self) -> str:
        """SQL that writes a current row.

        A stored row with the same or a later end stays, so late messages change nothing.
        """
        columns = (*self.columns, *_ROW)
        changed = ", ".join(f"{column} = excluded.{column}" for column in _ROW)
        return (
            f"insert into {self.present} ({', '.join(columns)})"  # noqa: S608 -- names of ours
            f" select {', '.join(columns)} from jsonb_populate_recordset(null::{self.present}, $1::jsonb)"
            f" on conflict ({', '.join(self.key)}) do update set {changed}, updated_at = now()"
            f" where excluded.monitoring_end_time > {self.present}.monitoring_end_time"
            f" returning {self.name}"
        )

    @property
    def remember(self) -> str:
        """SQL that writes a row of the history unless it exists."""
        columns = ", ".join((*_HISTORY_ROW, self.name))
        return (
            f"insert into {self.history} ({columns})"  # noqa: S608 -- names of ours
            f" select {columns} from jsonb_populate_recordset(null::{self.history}, $1::jsonb)"
            " on conflict do nothing"
        )


_TABLES: Final[dict[ExperimentType, _Tables]] = {
    "container": _Tables(
        present="recommendation_sets",
        history="historical_recommendation_sets",
        name="container_name",
        key=("workload_id", "container_name"),
        columns=("workload_id", "container_name"),
    ),
    "namespace": _Tables(
        present="namespace_recommendation_sets",
        history="historical_namespace_recommendation_sets",
        name="namespace_name",
        key=("workload_id",),
        columns=("org_id", "workload_id", "namespace_name"),
    ),
}


@dataclass(frozen=True)
class Workload:
    """A workload, and the end of its newest recommendation."""

    org_id: str
    id: int
    kind: ExperimentType
    stored_end: datetime | None


@dataclass(frozen=True)
class Outcome:
    """What came of a poll for usage up to ``end``; the minutes where there is too little."""

    end: datetime
    kind: Literal["stored", "not_enough_data", "no_usage", "none"]
    text: str
    minutes: int | None = None
    minutes_needed: int | None = None


# The workload may be gone by now.
_NOTE: Final = """
insert into poll_outcomes as o (workload_id, polled_at, usage_end, kind, outcome, minutes, minutes_needed)
select id, now(), $2, $3, $4, $5, $6 from workloads where id = $1 for key share
on conflict (workload_id) do update set polled_at = excluded.polled_at, usage_end = excluded.usage_end,
    kind = excluded.kind, outcome = excluded.outcome, minutes = excluded.minutes,
    minutes_needed = excluded.minutes_needed
where excluded.usage_end > o.usage_end or (excluded.usage_end = o.usage_end and excluded.kind <> o.kind)
"""
_MAX_TEXT: Final = 2000


class RecommendationStore:
    """The tables that ros_poller writes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._partitions = {
            kind: Partitions(
                database,
                tables.history,
                on_missing=PARTITION_MISSING.labels(tables.history).inc,
                maker=PARTITION_MAKER,
            )
            for kind, tables in _TABLES.items()
        }

    async def workload(
        self, org_id: str, workload_id: int, experiment: str, kind: ExperimentType
    ) -> Workload | None:
        """Return the workload; None if the organisation has none with that experiment, or no longer."""
        statement = (
            f"select max(r.monitoring_end_time) as stored_end from workloads w"  # noqa: S608 -- a name of ours
            f" left join {_TABLES[kind].present} r on r.workload_id = w.id"
            " where w.id = $1 and w.org_id = $2 and w.experiment_name = $3 group by w.id"
        )
        with database_errors_counted():
            row = await self._database.fetch_row(statement, workload_id, org_id, experiment)
        return None if row is None else Workload(org_id, workload_id, kind, row["stored_end"])

    async def usage_minutes(self, workload: Workload, name: str, end: datetime) -> int:
        """Return the minutes of usage that are stored for a container (or the namespace) in the day up to ``end``."""
        column = _TABLES[workload.kind].name
        statement = (
            "select count(distinct interval_end) from workload_metrics where org_id = $1 and workload_id = $2"  # noqa: S608 -- a name of ours
            f" and metric_type = $3 and {column} = $4 and interval_end > $5 and interval_end <= $6"
        )
        where = (workload.org_id, workload.id, workload.kind, name, end - _SHORT_TERM, end)
        with database_errors_counted():
            intervals = await self._database.fetch_value(statement, *where)
        return int(intervals) * MEASUREMENT_MINUTES

    async def keep(self, workload: Workload, recommendations: Sequence[StoredRecommendation]) -> int:
        """Store current rows and history in one transaction; return how many are newer than the stored ones."""
        tables = _TABLES[workload.kind]
        sent = orjson.dumps(_rows(workload, tables, recommendations)).decode()

        async def write() -> int:
            async with self._database.transaction() as connection:
                newer = await connection.fetch(tables.upsert, sent)
                await connection.execute(tables.remember, sent)
            return len(newer)

        with database_errors_counted():
            return await self._partitions[workload.kind].fill([item.end for item in recommendations], write)

    async def note(self, workload: Workload, outcome: Outcome) -> None:
        """Remember what came of a poll; a repeated or late one changes nothing."""
        text = plain(outcome.text[:_MAX_TEXT])
        with database_errors_counted():
            await self._database.execute(
                _NOTE, workload.id, outcome.end, outcome.kind, text, outcome.minutes, outcome.minutes_needed
            )


def _rows(
    workload: Workload, tables: _Tables, recommendations: Sequence[StoredRecommendation]
) -> list[dict[str, Any]]:
    """Return the rows in a fixed order, so that replicas lock them in the same order."""
    return [
        {
            "org_id": workload.org_id,
            "workload_id": workload.id,
            tables.name: item.name,
            "monitoring_start_time": item.start,
            "monitoring_end_time": item.end,
            "recommendations": item.recommendations,
            **item.columns,
        }
        for item in sorted(recommendations, key=lambda item: item.name)
    ]
