"""What became of payloads, for lists and for one payload: Headrace's own reads, beside those that upstream has.

A payload's state is kept by the writer (migration 0003); only the rows of a page are looked at one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from headrace.database.conditions import Where
from headrace.database.pool import Connection, Database, Record
from headrace.web.cursors import Cursor
from headrace.web.parameters import Choice, Integer, Moment, Parameter, Text
from headrace_services.payload_tracker.models import MAX_REQUEST_ID_BYTES, parse_date
from headrace_services.payload_tracker.store import OWN_PAYLOAD

SILENT_AFTER_SECONDS: Final = 30
# Where no index finds what a filter asks for, so many payloads are looked at for a page, which may be short then.
_WINDOW: Final = 1000
# Comes after every other character.
_LAST_CHARACTER: Final = "\U0010ffff"
_MAX_SERVICES: Final = 50
_MAX_REASON: Final = 2000
# Of one payload: the first ones, and the newest.
_FIRST, _NEWEST = 400, 100
_SETTLED_AT_ONCE: Final = 500

CURSOR: Final = Cursor((datetime, int))
LIMIT: Final = Parameter("limit", Integer(1, 100), 50)
_YES_OR_NO: Final = Choice(("true", "false"))
_MOMENT: Final = Moment(parse_date)

REQUEST_ID: Final = Parameter("request_id", Text(max_bytes=MAX_REQUEST_ID_BYTES), "", "how it begins")
ORG_ID: Final = Parameter("org_id", Text(), "")
CLUSTER: Final = Parameter("cluster", Text(), "", "the cluster's id, as statuses name it in `system_id`")
UPLOAD_SERVICE: Final = Parameter("upload_service", Text(), "", "such as `hccm`")
SERVICE: Final = Parameter("service", Text(), "", "a service that reported on the payload")
STATES: Final = ("in_progress", "done", "failed", "silent")
STATE: Final = Parameter("state", Choice(STATES), "")
REFUSED: Final = Parameter("refused", _YES_OR_NO, "", "whether ingress refused the upload")
SINCE: Final = Parameter("created_since", _MOMENT, None)
BEFORE: Final = Parameter("created_before", _MOMENT, None)
PARAMETERS: Final[tuple[Parameter[Any], ...]] = (
    REQUEST_ID, ORG_ID, CLUSTER, UPLOAD_SERVICE, SERVICE, STATE, REFUSED, SINCE, BEFORE, LIMIT, CURSOR.parameter,
)  # fmt: skip

_OVERDUE: Final = f"p.state = 'waiting' and p.state_since < now() - interval '{SILENT_AFTER_SECONDS} s'"
_ON_TIME: Final = f"p.state = 'waiting' and p.state_since >= now() - interval '{SILENT_AFTER_SECONDS} s'"
# Each alternative is found by an index, and gives a page of its own.
_OF_STATE: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("true",),
    "in_progress": ("p.state = 'working'", _ON_TIME, "p.state is null"),
    # Most are; no index has them.
    "done": ("true",),
    "failed": ("p.state = 'failed'", "p.state = 'refused'"),
    "silent": (_OVERDUE,),
}

_ORDER: Final = "order by p.created_at desc, p.id desc"
_PAGE: Final = f"""
select p.id, p.created_at, p.request_id, p.upload_service, p.state from payloads p
where {{where}} {_ORDER} limit {{limit}}
"""  # noqa: S608 -- ours
_DESCRIBED: Final = f"""
select p.id, p.request_id, p.org_id, p.account, p.system_id as cluster, p.inventory_id, p.upload_service,
    p.size_bytes, p.created_at, p.state, coalesce({_OVERDUE}, false) as is_overdue, array(
        select e.service from expected_consumers e where e.upload_service = p.upload_service and not exists (
            select from payload_statuses t join services s on s.id = t.service_id
            where t.payload_id = p.id and s.name = e.service
        ) order by 1
    ) as silent
from payloads p where p.id = any ($1) {_ORDER}
"""  # noqa: S608 -- ours
# The last status of each service and source, of the newest ones.
_LAST: Final = f"""
select * from (
    select *, row_number() over (partition by payload_id order by date desc, id desc) as place,
        count(*) over (partition by payload_id) as places
    from (
        select distinct on (t.payload_id, t.service_id, coalesce(t.source_id, 0)) t.payload_id, t.id,
            s.name as service, coalesce(o.name, '') as source, w.name as status,
            left(t.status_msg, {_MAX_REASON}) as reason, t.date, t.created_at
        from payload_statuses t
        join services s on s.id = t.service_id
        left join sources o on o.id = t.source_id
        join statuses w on w.id = t.status_id
        where t.payload_id = any ($1)
        order by t.payload_id, t.service_id, coalesce(t.source_id, 0),
            t.date desc, w.name in ('success', 'error') desc, w.name, t.id desc
    ) as last
) as told where place <= {_MAX_SERVICES} order by date, id
"""  # noqa: S608 -- ours
_STATUSES: Final = f"""
with every as (
    select t.id, s.name as service, coalesce(o.name, '') as source, w.name as status,
        left(t.status_msg, {_MAX_REASON}) as reason, t.date, t.created_at, p.org_id,
        row_number() over (order by t.date, t.id) as place, count(*) over () as places
    from payload_statuses t
    join payloads p on p.id = t.payload_id
    join services s on s.id = t.service_id
    left join sources o on o.id = t.source_id
    join statuses w on w.id = t.status_id
    where t.payload_id = any ($1)
)
select * from every where place <= {_FIRST} or place > places - {_NEWEST} order by place
"""  # noqa: S608 -- ours
_EXPECT: Final = """
with expected as (
    select * from unnest($1::text[], $2::text[]) as pair (upload_service, service)
), gone as (
    delete from expected_consumers e where not exists (
        select from expected where upload_service = e.upload_service and service = e.service
    )
)
insert into expected_consumers select * from expected on conflict do nothing
"""
_SETTLE: Final = f"""
with unsettled as (
    select id from payloads where state is null order by id limit {_SETTLED_AT_ONCE} for update skip locked
), settled as (
    select settle_payloads(array_agg(id)), count(*) as count from unsettled
) select count from settled
"""  # noqa: S608 -- ours


@dataclass(frozen=True)
class Described:
    """A payload's row with the last status of each service and source."""

    row: Record
    last: list[Record]


class States:
    """Reads what became of payloads. Raises `Retryable` while PostgreSQL is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expect(self, consumers: Mapping[str, frozenset[str]]) -> None:
        """Record which services have to report on an upload for a service."""
        pairs = [(upload, service) for upload, services in consumers.items() for service in services]
        uploads, services = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        await self._database.fetch(_EXPECT, uploads, services)

    async def page(
        self, query: Mapping[str, str], org_id: str | None
    ) -> tuple[list[Described], tuple[datetime, int] | None]:
        """The newest payloads that match, and where the next page begins; with ``org_id`` that organisation's only.

        Raises `BadParameter`.
        """
        limit, places = LIMIT.read(query), _places(query, org_id)
        async with self._database.connection() as connection:
            unfound = await _find_request(connection, query, places) | _unfound(query)
            window = _WINDOW if unfound else limit
            found = [row for where in places for row in await _candidates(connection, where, window + 1)]
            found.sort(key=_position, reverse=True)
            is_more, found = len(found) > window, found[:window]
            chosen = await _that_match(connection, found, unfound)
            if len(chosen) > limit:
                is_more, found, chosen = True, chosen[:limit], chosen[:limit]
            described = await _described(connection, [row["id"] for row in chosen])
        return described, _position(found[-1]) if is_more else None

    async def payload(self, request_id: str, org_id: str | None) -> tuple[list[Described], list[Record]]:
        """Whoever's payloads of a request id that may be seen, and their statuses: of many the first and the newest."""
        where, arguments = "p.request_id = $1", [request_id]
        if org_id is not None:
            where, arguments = f"{where} and {OWN_PAYLOAD}", [request_id, org_id]
        async with self._database.connection() as connection:
            ids = await connection.fetch(f"select p.id from payloads p where {where}", *arguments)  # noqa: S608 -- ours
            every = [row["id"] for row in ids]
            described = await _described(connection, every)
            return described, await connection.fetch(_STATUSES, every)

    async def settle(self) -> int:
        """Settle the states of some payloads that have none yet; return how many."""
        return int(await self._database.fetch_value(_SETTLE))


_MATCHING_REQUEST: Final = f"""
select p.id from payloads p where p.request_id >= $1 and p.request_id < $2 limit {_WINDOW + 1}
"""  # noqa: S608 -- ours
_REPORTED: Final = """
select asked.id from unnest($1::bigint[]) as asked (id) where exists (
    select from payload_statuses t where t.payload_id = asked.id
        and t.service_id = (select s.id from services s where s.name = $2)
)
"""
# By the parameter that asks: what a payload's row has to be like, where no index tells.
_Unfound = dict[str, str]


def _unfound(query: Mapping[str, str]) -> _Unfound:
    asked = {
        "service": SERVICE.read(query).lower(),
        "upload_service": UPLOAD_SERVICE.read(query).lower(),
        "state": "done" if STATE.read(query) == "done" else "",
    }
    return {name: value for name, value in asked.items() if value}


async def _find_request(
    connection: Connection, query: Mapping[str, str], places: Sequence[Where]
) -> _Unfound:
    """Narrow to the payloads whose request id begins as asked; a beginning that many have is left to be looked at."""
    beginning = REQUEST_ID.read(query)
    if not beginning:
        return {}
    rows = await connection.fetch(_MATCHING_REQUEST, beginning, beginning + _LAST_CHARACTER)
    if len(rows) > _WINDOW:
        return {"request_id": beginning}
    for where in places:
        where.add(f"p.id = any({where.place([row['id'] for row in rows])}::bigint[])")
    return {}


async def _that_match(connection: Connection, rows: list[Record], unfound: _Unfound) -> list[Record]:
    found = [
        row
        for row in rows
        if row["request_id"].startswith(unfound.get("request_id", ""))
        and unfound.get("upload_service") in {None, row["upload_service"]}
        and unfound.get("state") in {None, row["state"]}
    ]
    if service := unfound.get("service"):
        own = await connection.fetch(_REPORTED, [row["id"] for row in found], service)
        reported_on = {row["id"] for row in own}
        found = [row for row in found if row["id"] in reported_on]
    return found


def _position(row: Record) -> tuple[datetime, int]:
    return row["created_at"], row["id"]


def _places(query: Mapping[str, str], org_id: str | None) -> list[Where]:
    """The conditions of a page; more than one where one index cannot find all of its rows."""
    state, refused = STATE.read(query), REFUSED.read(query)
    alternatives = _OF_STATE[state]
    if refused:
        only = ("p.state = 'refused'",)
        excluded = tuple(f"({item}) and p.state is distinct from 'refused'" for item in alternatives)
        alternatives = (only if state in {"", "failed"} else ()) if refused == "true" else excluded
    return [_where(query, org_id, alternative) for alternative in alternatives]


def _where(query: Mapping[str, str], org_id: str | None, state: str) -> Where:
    where = Where([state])
    for organisation in {org_id, ORG_ID.read(query) or None} - {None}:
        where.compare("p.org_id", "=", organisation)
    if cluster := CLUSTER.read(query):
        # The index has only those that name one.
        where.add("p.system_id <> ''")
        where.compare("p.system_id", "=", cluster)
    for parameter, operator in ((SINCE, ">="), (BEFORE, "<")):
        if moment := parameter.read(query):
            where.compare("p.created_at", operator, moment)
    if cursor := CURSOR.parameter.read(query):
        created_at, identifier = (where.place(value) for value in cursor)
        where.add(f"(p.created_at, p.id) < ({created_at}, {identifier})")
    return where


async def _candidates(connection: Connection, where: Where, limit: int) -> list[Record]:
    return await connection.fetch(_PAGE.format(where=where.text, limit=limit), *where.arguments)


async def _described(connection: Connection, ids: Sequence[int]) -> list[Described]:
    if not ids:
        return []
    rows = await connection.fetch(_DESCRIBED, ids)
    last: dict[int, list[Record]] = {}
    for row in await connection.fetch(_LAST, ids):
        last.setdefault(row["payload_id"], []).append(row)
    return [Described(row, last.get(row["id"], [])) for row in rows]
