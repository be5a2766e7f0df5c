"""The bodies of API requests: simulations, events, archives of other installers."""

import base64
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from headrace.archives import ArchiveLimits
from headrace.archives.assisted import cluster_members, read_json
from headrace.contracts import assisted as names
from headrace.contracts.message import utc_now
from headrace.installations.installation import Installation
from headrace.installations.origin import Origin
from headrace.runtime.errors import Rejected
from headrace.runtime.untrusted import Unreadable, check_json, load_json

MAX_CLUSTERS: Final = 100
MAX_HOSTS: Final = 5000
MAX_EVENTS: Final = 1_000_000
_SEED_BITS: Final = 48
# The credential of a fictitious user, which an endpoint with authentication refuses.
_SIMULATED_AUTH: Final = base64.b64encode(b"jdoe:simulated").decode()
SIMULATED_PULL_SECRET: Final = orjson.dumps(
    {"auths": {names.TELEMETRY_REGISTRY: {"auth": _SIMULATED_AUTH, "email": "jdoe@example.com"}}}
).decode()


B = TypeVar("B", bound="Body")


class Body(BaseModel):
    """A JSON object with known fields only."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Simulation(Body):
    """Simulated installations: how many, of what size, and how they end."""

    clusters: int = Field(default=1, ge=1, le=MAX_CLUSTERS)
    hosts: int = Field(default=3, ge=1, le=MAX_HOSTS)
    events: int | None = Field(default=None, ge=1, le=MAX_EVENTS)
    end_state: Literal["installed", "cancelled", "error", "adding-hosts"] = "installed"
    cluster_id: UUID | None = Field(default=None, description="id of the first cluster; random if not given")
    seed: int | None = None
    credentials: bool = Field(default=True, description="whether the clusters have a pull secret")

    def installations(self) -> list[Installation]:
        """Return the simulated installations, which end now."""
        seed = random.getrandbits(_SEED_BITS) if self.seed is None else self.seed
        cluster_id = str(self.cluster_id) if self.cluster_id else None
        origin = Origin(seed=seed, cluster_id=cluster_id, now=utc_now())
        return [
            Installation(origin, number=n, hosts=self.hosts, events=self.events, end_state=self.end_state)
            for n in range(self.clusters)
        ]


class Event(Body):
    """One event."""

    name: str = Field(min_length=1, max_length=256)
    message: str = Field(max_length=names.MAX_MESSAGE_CHARACTERS)
    severity: Literal["info", "warning", "error", "critical"]
    category: Literal["user", "metrics"] = "user"
    event_time: AwareDatetime
    host_id: UUID | None = None
    infra_env_id: UUID | None = None
    request_id: UUID | None = None
    props: str | None = Field(default=None, description="the text of a JSON object")

    @field_validator("props")
    @classmethod
    def _is_an_object(cls, value: str | None) -> str | None:
        if value:
            try:
                content = load_json(value.encode())
            except ValueError:
                content = None
            if not isinstance(content, dict):
                raise ValueError("expected the text of a JSON object")
        return value

    def row(self) -> dict[str, Any]:
        """Return the row for the table."""
        values = self.model_dump(exclude_none=True)
        values |= {name: str(value) for name, value in values.items() if isinstance(value, UUID)}
        return values | {"event_time": self.event_time.astimezone(UTC)}


class Events(Body):
    """Some events of a cluster."""

    events: list[Event] = Field(min_length=1, max_length=5000)


def decoded(kind: type[B], content: bytes) -> B:
    """Return a request's decoded body; raises `Rejected` with the fault."""
    try:
        check_json(content)
    except Unreadable as error:
        raise Rejected(f"body: it is {error}") from None
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise Rejected(f"{where}: {first['msg']}") from None


@dataclass
class Replayed:
    """The content of an archive about one cluster."""

    cluster_id: str
    cluster: dict[str, Any] | None = None
    hosts: list[dict[str, Any]] = field(default_factory=list)
    infra_envs: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)


# The field of each member's content; members with a single object become lists of one.
_PARTS: Final = {
    names.CLUSTER_MEMBER: "cluster",
    names.HOSTS_MEMBER: "hosts",
    names.INFRA_ENV_MEMBER: "infra_envs",
    names.MORE_INFRA_ENVS_MEMBER: "infra_envs",
    names.EVENTS_MEMBER: "events",
}


async def replayed(chunks: AsyncIterator[bytes], max_member_bytes: int) -> AsyncIterator[Replayed]:
    """Yield the clusters of an archive, each when its members (which are consecutive) have been read.

    Raises `Rejected` for an archive that cannot be read, or that lacks a cluster's own description.
    """
    limits = ArchiveLimits(max_member_bytes=max_member_bytes, max_total_bytes=MAX_CLUSTERS * max_member_bytes)
    current: Replayed | None = None
    async with aclosing(cluster_members(chunks, limits)) as members:
        async for cluster_id, rest, member in members:
            if current is None or current.cluster_id != cluster_id:
                if current:
                    yield _whole(current)
                current = Replayed(cluster_id)
            if part := _PARTS.get(rest):
                _take(current, part, await read_json(member, max_member_bytes))
    if current is None:
        raise Rejected("the archive contains no cluster")
    yield _whole(current)


def _take(current: Replayed, part: str, content: Any) -> None:
    items = content if isinstance(content, list) else [] if content is None else [content]
    if not all(isinstance(item, dict) for item in items):
        raise Rejected(f"{part} of cluster {current.cluster_id}: expected JSON objects")
    if part == "cluster":
        current.cluster = items[0] if items else None
    else:
        getattr(current, part).extend(items)


def _whole(current: Replayed) -> Replayed:
    cluster = current.cluster
    if cluster is None or cluster.get("id") != current.cluster_id or not cluster.get("status"):
        raise Rejected(
            f"cluster {current.cluster_id[:64]}: expected {names.CLUSTER_MEMBER} with this id and a status"
        )
    return current
