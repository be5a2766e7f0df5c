"""The table of all ended installations and their outcomes, which ensures that each is sent, and sent once."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from headrace.database.pool import Database, Record
from headrace_services.assisted_events.consent import OPTED_OUT
from headrace_services.assisted_events.store import Ended

CHANNEL: Final = "assisted_clusters"
STATES: Final = ("waiting", "sending", "sent", "skipped", "given_up", "exported")
_NAMESPACE: Final = uuid.UUID("6c0f3b0e-9a53-4f0e-8a4f-6c2f5e2f7a11")
_COLUMNS: Final = (
    "id, cluster_id, install_started_at, outcome, request_id, state, reason, attempts, failures, next_attempt_at,"
    " first_seen_at, ended_at, sent_at, content_sha256, size_bytes, hosts, events"
)


@dataclass(frozen=True)
class Sending:
    """One row: one end of one installation attempt."""

    id: int
    cluster_id: str
    install_started_at: datetime
    outcome: str
    request_id: str
    state: str
    reason: str
    attempts: int
    failures: int
    next_attempt_at: datetime
    first_seen_at: datetime
    ended_at: datetime | None
    sent_at: datetime | None
    content_sha256: str | None
    size_bytes: int | None
    hosts: int | None
    events: int | None

    @classmethod
    def of(cls, row: Record) -> Self:
        """Return the sending of a row."""
        return cls(**dict(row))


def request_id_of(ended: Ended) -> str:
    """Return the request id of one end, the same for each of its uploads, so that receivers recognise repetitions."""
    name = f"{ended.cluster_id} {ended.install_started_at.isoformat()} {ended.outcome}"
    return uuid.uuid5(_NAMESPACE, name).hex


class Ledger:
    """The statements on the table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def since(self, source: str) -> datetime:
        """Return when this service first read a database."""
        await self._database.execute(
            "insert into watching (source) values ($1) on conflict do nothing", source
        )
        since: datetime = await self._database.fetch_value(
            "select since from watching where source = $1", source
        )
        return since

    async def record(self, ended: Sequence[Ended], *, state: str = "waiting", reason: str = "") -> int:
        """Record new ends; return their number."""
        tag = await self._database.execute(
            """
            insert into sendings (cluster_id, install_started_at, outcome, request_id, state, reason, ended_at)
            select cluster_id, started, outcome, request_id,
                   case when since is null then $5 else 'skipped' end, case when since is null then $6 else $7 end,
                   case when since is null and $5 = 'waiting' then null else now() end
            from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[])
                as ended (cluster_id, started, outcome, request_id) left join opt_outs using (cluster_id)
            on conflict do nothing
            """,
            [item.cluster_id for item in ended],
            [item.install_started_at for item in ended],
            [item.outcome for item in ended],
            [request_id_of(item) for item in ended],
            state,
            reason,
            OPTED_OUT,
        )
        return int(tag.rpartition(" ")[2])

    async def due(self) -> Sending | None:
        """Return the due sending that has waited longest, or None."""
        row = await self._database.fetch_row(
            f"select {_COLUMNS} from sendings where state in ('waiting', 'sending') and next_attempt_at <= now()"  # noqa: S608
            " order by next_attempt_at, id limit 1"
        )
        return Sending.of(row) if row else None

    async def seconds_to_next(self) -> float | None:
        """Return the seconds until the next sending is due, None if none waits."""
        seconds = await self._database.fetch_value(
            "select extract(epoch from min(next_attempt_at) - now()) from sendings"
            " where state in ('waiting', 'sending')"
        )
        return None if seconds is None else max(0.0, float(seconds))

    async def begin(self, sending: Sending, *, retry_seconds: float) -> bool:
        """Record the start of an upload; return False if the sending no longer waits, because it was exported.

        If the process ends during the upload, it counts as failed and is repeated after the wait.
        """
        tag = await self._database.execute(
            "update sendings set state = 'sending', attempts = attempts + 1, failures = failures + 1,"
            " next_attempt_at = now() + make_interval(secs => $2)"
            " where id = $1 and state in ('waiting', 'sending')",
            sending.id,
            retry_seconds,
        )
        return tag == "UPDATE 1"

    async def take_for_export(self, sending: Sending) -> bool:
        """Stop a sending; return False if it is being uploaded. One that was sent stays sent."""
        tag = await self._database.execute(
            "update sendings set ended_at = case when state = 'sent' then ended_at else now() end,"
            " state = case when state = 'sent' then state else 'exported' end where id = $1 and state <> 'sending'",
            sending.id,
        )
        return tag == "UPDATE 1"

    async def note(self, sending: Sending, *, sha256: str, size_bytes: int, hosts: int, events: int) -> None:
        """Record the archive that is being uploaded."""
        await self._database.execute(
            "update sendings set content_sha256 = $2, size_bytes = $3, hosts = $4, events = $5 where id = $1",
            sending.id,
            sha256,
            size_bytes,
            hosts,
            events,
        )

    async def end(self, sending: Sending, state: str, reason: str = "") -> None:
        """Record the final state."""
        await self._database.execute(
            "update sendings set state = $2, reason = $3, ended_at = now(),"
            " sent_at = case when $2 = 'sent' then now() else sent_at end,"
            " failures = failures - ($2 = 'sent')::int where id = $1",
            sending.id,
            state,
            reason,
        )

    async def postpone(self, sending: Sending, reason: str, seconds: float, *, blameless: bool) -> None:
        """Postpone a sending; ``blameless`` if the failure says nothing about this cluster.

        A sending that ended during the upload, because its cluster was opted out, stays ended.
        """
        await self._database.execute(
            "update sendings set state = 'waiting', reason = $2, failures = failures - $4,"
            " next_attempt_at = now() + make_interval(secs => $3) where id = $1 and state = 'sending'",
            sending.id,
            reason,
            seconds,
            int(blameless),
        )

    async def skip_waiting(self, reason: str) -> int:
        """End all waiting sendings; return their number."""
        tag = await self._database.execute(
            "update sendings set state = 'skipped', reason = $1, ended_at = now()"
            " where state in ('waiting', 'sending')",
            reason,
        )
        return int(tag.rpartition(" ")[2])

    async def explain_waiting(self, reason: str) -> None:
        """Record why sendings that were never attempted still wait."""
        await self._database.execute(
            "update sendings set reason = $1 where state = 'waiting' and attempts = 0", reason
        )

    async def sent_before(self, sending: Sending, sha256: str) -> Sending | None:
        """Return an earlier sending of the same cluster whose archive had the same bytes, or None."""
        row = await self._database.fetch_row(
            f"select {_COLUMNS} from sendings where cluster_id = $1 and content_sha256 = $2 and id <> $3"  # noqa: S608
            " and state = 'sent' limit 1",
            sending.cluster_id,
            sha256,
            sending.id,
        )
        return Sending.of(row) if row else None

    async def listed(
        self, *, cluster_id: str | None, state: str | None, limit: int, offset: int
    ) -> tuple[int, list[Sending]]:
        """Return the number of sendings, and one page of them, newest first."""
        where = "($1::text is null or cluster_id = $1) and ($2::text is null or state = $2)"
        count = await self._database.fetch_value(
            f"select count(*) from sendings where {where}",  # noqa: S608
            cluster_id,
            state,
        )
        rows = await self._database.fetch(
            f"select {_COLUMNS} from sendings where {where} order by id desc limit $3 offset $4",  # noqa: S608
            cluster_id,
            state,
            limit,
            offset,
        )
        return count, [Sending.of(row) for row in rows]

    async def newest(self, cluster_id: str) -> Sending | None:
        """Return the last sending of a cluster, or None."""
        _, rows = await self.listed(cluster_id=cluster_id, state=None, limit=1, offset=0)
        return rows[0] if rows else None

    async def again(self, sending: Sending) -> None:
        """Make a sending due now, whatever its state."""
        await self._database.execute(
            "update sendings set state = 'waiting', reason = '', failures = 0, next_attempt_at = now(),"
            " ended_at = null where id = $1",
            sending.id,
        )
        # Another replica may be the leader and has to be woken.
        await self._database.execute("select pg_notify($1, $2)", CHANNEL, sending.cluster_id)

    async def opt_out(self, cluster_id: str) -> None:
        """Stop sending anything about a cluster. Its waiting sendings end, and stay ended after an opt-in."""
        await self._database.execute(
            """
            with added as (insert into opt_outs (cluster_id) values ($1) on conflict do nothing)
            update sendings set state = 'skipped', reason = $2, ended_at = now()
            where cluster_id = $1 and state in ('waiting', 'sending')
            """,
            cluster_id,
            OPTED_OUT,
        )

    async def opt_in(self, cluster_id: str) -> None:
        """Resume sending, for installations that end from now on."""
        await self._database.execute("delete from opt_outs where cluster_id = $1", cluster_id)

    async def opted_out(self, cluster_id: str) -> bool:
        """Return whether a cluster is opted out."""
        found = await self._database.fetch_value(
            "select true from opt_outs where cluster_id = $1", cluster_id
        )
        return bool(found)
