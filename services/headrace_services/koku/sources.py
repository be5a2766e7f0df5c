"""Finds the source of a cluster through the Sources API.

Upstream keeps a copy of the sources and follows ``platform.sources.event-stream`` to update it. Here there is no copy,
so there are no events to follow: an answer is cached for ``cache_seconds``, and a cluster that was not found is looked
up again the next time.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from weakref import WeakValueDictionary

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace.contracts.headers import IDENTITY_HEADER
from headrace.contracts.identity import Identity, Internal, User, encode_identity
from headrace.runtime.errors import Permanent, Rejected, Retryable
from headrace.runtime.logging import get_logger
from headrace.web.peer import Answer, Peer
from headrace_services.koku import metrics

OPENSHIFT: Final = "openshift"
COST_MANAGEMENT: Final = "/insights/platform/cost-management"
_MAX_REMEMBERED: Final = 10_000
_MAX_NAME_CHARACTERS: Final = 200

_log = get_logger(__name__)
V = TypeVar("V")
Check = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    """Do nothing: the default of ``check``."""


class NoSource(Rejected):
    """The Sources API has no source for the cluster."""


@dataclass(frozen=True)
class Tenant:
    """An organisation, in the form of the Sources API."""

    org_id: str
    account: str = ""


class Source(BaseModel):
    """The source of a cluster; ``uid`` is the provider's UUID in upstream's terms."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    id: str = Field(pattern="^[0-9]+$")
    uid: str = Field(pattern="^[A-Za-z0-9-]{1,64}$")
    name: str = Field(min_length=1, max_length=1024)
    paused_at: str | None = None


class Sources:
    """Finds sources, and registers them if allowed."""

    def __init__(
        self,
        peer: Peer,
        *,
        prefix: str,
        psk: str = "",
        register: bool,
        cache_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peer = peer
        self._prefix = prefix.rstrip("/")
        self._psk = psk
        self._register = register
        self._types: _Remembered[str] = _Remembered(cache_seconds, clock)
        self._sources: _Remembered[Source] = _Remembered(cache_seconds, clock)
        self._asking: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def of_cluster(
        self, cluster_id: str, tenant: Tenant, *, name: str = "", check: Check = _nothing
    ) -> Source:
        """Return the cost-management source of an organisation's cluster; ``name`` is the name of a new one.

        ``check`` is called before a registration; its exception prevents the registration. Raises `NoSource` if there
        is no source, `Retryable` if the Sources API is away.
        """
        place = (tenant.org_id, cluster_id)
        # Archives of one cluster wait for the first one's answer, so they never register it twice.
        async with self._asking.setdefault(place, asyncio.Lock()):
            source = self._sources.get(place)
            if source is None:
                source = await self._find(cluster_id, tenant, name, check)
                self._sources.put(place, source)
        return source

    async def _find(self, cluster_id: str, tenant: Tenant, name: str, check: Check) -> Source:
        source = await self._lookup(cluster_id, tenant)
        if source is None:
            if not self._register:
                raise NoSource(
                    f"the cluster {cluster_id} is not known to the organisation {tenant.org_id}: the Sources API has "
                    "no OpenShift source with that source_ref"
                )
            await check()
            source = await self._create(cluster_id, tenant, name)
        if source.paused_at:
            raise NoSource(
                f"the source {source.name!r} of the cluster {cluster_id} in the organisation {tenant.org_id} is paused"
            )
        await self._check_application(source, cluster_id, tenant, check)
        return source

    async def _lookup(self, cluster_id: str, tenant: Tenant) -> Source | None:
        """Return the oldest source, or None. Concurrent registrations agree on the oldest."""
        type_id = await self._type_id("source_types", OPENSHIFT, tenant)
        filters = {"source_type_id": type_id, "source_ref": cluster_id}
        found = [_source(item) for item in await self._list("sources", filters, tenant)]
        return min(found, key=lambda source: int(source.id), default=None)

    async def _create(self, cluster_id: str, tenant: Tenant, name: str) -> Source:
        """Register a source.

        A name that is taken belongs to another registration of this cluster, or to another cluster.
        """
        type_id = await self._type_id("source_types", OPENSHIFT, tenant)
        wanted = "".join(filter(str.isprintable, name))[:_MAX_NAME_CHARACTERS].strip()
        for candidate in dict.fromkeys(
            filter(None, (wanted, cluster_id, f"{wanted or OPENSHIFT} {cluster_id}"))
        ):
            fields = {"name": candidate, "source_type_id": type_id, "source_ref": cluster_id}
            answer = await self._call("POST", "sources", tenant, json=fields, accepted={201, 400})
            source = await self._lookup(cluster_id, tenant)
            if source is not None:
                await self._settle(answer, source, tenant)
                return source
        raise Permanent(
            f"the cluster {cluster_id} cannot be registered: the Sources API answered {answer.shown}"
        )

    async def _settle(self, answer: Answer, source: Source, tenant: Tenant) -> None:
        """Keep the older of two sources that were registered at the same time under different names."""
        if answer.status != 201:
            return
        created = _source(answer.body)
        if created.id == source.id:
            metrics.REGISTERED_SOURCES.inc()
            _log.info("source_registered", source=source.id, name=source.name, org_id=tenant.org_id)
        else:
            await self._call("DELETE", f"sources/{created.id}", tenant, accepted={204, 404})

    async def _check_application(self, source: Source, cluster_id: str, tenant: Tenant, check: Check) -> None:
        """Add the application that makes a source one of cost management, if it is missing."""
        type_id = await self._type_id("application_types", COST_MANAGEMENT, tenant)
        fields = {"source_id": source.id, "application_type_id": type_id}
        if await self._list("applications", fields, tenant):
            return
        if not self._register:
            raise NoSource(
                f"the source {source.name!r} of the cluster {cluster_id} in the organisation {tenant.org_id} has no "
                "cost-management application"
            )
        await check()
        answer = await self._call("POST", "applications", tenant, json=fields, accepted={201, 400})
        if answer.status == 400 and not await self._list("applications", fields, tenant):
            raise Permanent(
                f"no application can be created for the source {source.id}: the Sources API answered "
                f"{answer.shown}"
            )

    async def _type_id(self, collection: str, name: str, tenant: Tenant) -> str:
        """Return the id of a type by its name, because ids depend on the order in which a Sources API was seeded."""
        place = (collection, name)
        known = self._types.get(place)
        if known is None:
            found = await self._list(collection, {"name": name}, tenant)
            known = str(found[0].get("id", "")) if found else ""
            if not known:
                raise Retryable(f"the Sources API has no {name} among its {collection}")
            self._types.put(place, known)
        return known

    async def _list(
        self, collection: str, filters: Mapping[str, str], tenant: Tenant
    ) -> list[dict[str, Any]]:
        params = {f"filter[{field}]": value for field, value in filters.items()}
        answer = await self._call("GET", collection, tenant, params=params, accepted={200})
        data = answer.body.get("data") if isinstance(answer.body, dict) else None
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise Retryable(f"the Sources API answered {collection} with something other than a list")
        return data

    async def _call(
        self,
        method: str,
        path: str,
        tenant: Tenant,
        *,
        accepted: set[int],
        json: Any = None,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        answer = await self._peer.call(
            method, f"{self._prefix}/{path}", json=json, params=params, headers=self._headers(tenant)
        )
        if answer.status in accepted:
            return answer
        reason = f"the Sources API answered {method} {path} with {answer.shown}"
        if answer.status in {400, 404}:
            raise Permanent(reason)
        # A wrong key, a wrong prefix behind a gateway or a fault of the Sources API: the archive waits for the
        # operator.
        raise Retryable(reason)

    def _headers(self, tenant: Tenant) -> dict[str, str]:
        identity = Identity(
            account_number=tenant.account,
            org_id=tenant.org_id,
            type="User",
            internal=Internal(org_id=tenant.org_id),
            user=User(username="cost-management", is_org_admin=True),
        )
        headers = {IDENTITY_HEADER: encode_identity(identity)}
        if self._psk:
            headers |= {"x-rh-sources-psk": self._psk, "x-rh-sources-org-id": tenant.org_id}
            if tenant.account:
                headers["x-rh-sources-account-number"] = tenant.account
        return headers


class _Remembered(Generic[V]):
    """The newest answers, each cached for a limited time."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._items: OrderedDict[tuple[str, str], tuple[float, V]] = OrderedDict()

    def get(self, place: tuple[str, str]) -> V | None:
        until, value = self._items.get(place, (0.0, None))
        return value if self._clock() < until else None

    def put(self, place: tuple[str, str], value: V) -> None:
        self._items[place] = (self._clock() + self._seconds, value)
        self._items.move_to_end(place)
        if len(self._items) > _MAX_REMEMBERED:
            self._items.popitem(last=False)


def _source(item: Any) -> Source:
    try:
        return Source.model_validate(item)
    except ValidationError as error:
        fields = ", ".join(str(part) for entry in error.errors() for part in entry["loc"])
        raise Permanent(f"the Sources API answered with an invalid source: {fields}") from None
