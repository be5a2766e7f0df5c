"""The resources as data: their fields, and their forms in answers and events. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Final, Protocol

import orjson

from headrace.contracts.message import rfc3339
from headrace.web.schemas import BOOLEAN, MOMENT, TEXT, Json, record


class Row(Protocol):
    """A row of a table."""

    def __getitem__(self, name: str, /) -> Any: ...


class Kind(Enum):
    """The type of a field, which determines its filters and its form."""

    ID = auto()
    INTEGER = auto()
    TEXT = auto()
    BOOLEAN = auto()
    MOMENT = auto()
    JSON = auto()


_SCHEMAS: Final[Mapping[Kind, Json]] = {
    Kind.ID: {"type": "string", "pattern": "^[0-9]+$"},
    Kind.INTEGER: {"type": "integer"},
    Kind.TEXT: TEXT,
    Kind.BOOLEAN: BOOLEAN,
    Kind.MOMENT: MOMENT,
    Kind.JSON: {},
}


@dataclass(frozen=True)
class Resource:
    """One kind of resource: ``table`` is also its name in routes, ``event`` its name in event types.

    ``fields`` are shown, filtered and sorted by; an ``optional`` field without a value is omitted from answers.
    ``related`` are the resources whose fields filters may use, each with the column that refers to it.
    """

    table: str
    singular: str
    event: str
    fields: Mapping[str, Kind]
    optional: frozenset[str] = frozenset()
    related: Mapping[str, tuple["Resource", str]] = field(default_factory=dict)
    # Whether rows belong to a tenant; types do not.
    scoped: bool = True
    # Fields of upstream's events that Headrace leaves empty.
    told_empty: tuple[str, ...] = ()

    @property
    def columns(self) -> str:
        """The columns of SELECT and RETURNING."""
        return ", ".join(f'"{name}"' for name in self.fields)

    @property
    def schema_name(self) -> str:
        """The name of its schema in the OpenAPI document."""
        return self.singular.title().replace(" ", "")

    @property
    def schema(self) -> Json:
        """The JSON Schema of a row in answers."""
        required = tuple(name for name in self.fields if name not in self.optional)
        return record(required, **{name: _SCHEMAS[kind] for name, kind in self.fields.items()})

    def shown(self, row: Row) -> dict[str, Any]:
        """Return a row as answers have it: ids are strings."""
        return {
            name: _shown(kind, row[name])
            for name, kind in self.fields.items()
            if row[name] is not None or name not in self.optional
        }

    def told(self, row: Row, tenant: str) -> dict[str, Any]:
        """Return a row as events have it: ids are integers, and no field is omitted."""
        told = {name: _told(kind, row[name]) for name, kind in self.fields.items()}
        return told | dict.fromkeys(self.told_empty) | {"tenant": tenant}


_STAMPS: Final = {"created_at": Kind.MOMENT, "updated_at": Kind.MOMENT}
_AVAILABILITY: Final = {
    "availability_status": Kind.TEXT,
    "last_checked_at": Kind.MOMENT,
    "last_available_at": Kind.MOMENT,
}
_PAUSE: Final = {"paused_at": Kind.MOMENT}
_FAILURE: Final = {"availability_status_error": Kind.TEXT}
_UNSEEN: Final = frozenset(
    {"last_checked_at", "last_available_at", "paused_at", "availability_status_error", "extra"}
)


def _texts(*names: str) -> dict[str, Kind]:
    return dict.fromkeys(names, Kind.TEXT)


SOURCE_TYPES: Final = Resource(
    table="source_types",
    singular="source type",
    event="",
    fields={
        "id": Kind.ID,
        **_STAMPS,
        **_texts("name", "product_name", "category", "vendor", "icon_url"),
        "schema": Kind.JSON,
    },
    scoped=False,
)
APPLICATION_TYPES: Final = Resource(
    table="application_types",
    singular="application type",
    event="",
    fields={
        "id": Kind.ID,
        **_STAMPS,
        **_texts("name", "display_name"),
        "dependent_applications": Kind.JSON,
        "supported_source_types": Kind.JSON,
        "supported_authentication_types": Kind.JSON,
    },
    scoped=False,
)
SOURCES: Final = Resource(
    table="sources",
    singular="source",
    event="Source",
    fields={
        "id": Kind.ID,
        **_STAMPS,
        **_AVAILABILITY,
        **_PAUSE,
        **_texts("name", "uid", "version", "imported", "source_ref", "app_creation_workflow"),
        "source_type_id": Kind.ID,
    },
    optional=_UNSEEN | {"version", "imported", "source_ref"},
    related={"source_type": (SOURCE_TYPES, "source_type_id")},
)
APPLICATIONS: Final = Resource(
    table="applications",
    singular="application",
    event="Application",
    fields={
        "id": Kind.ID,
        **_STAMPS,
        **_AVAILABILITY,
        **_FAILURE,
        **_PAUSE,
        "extra": Kind.JSON,
        "source_id": Kind.ID,
        "application_type_id": Kind.ID,
    },
    optional=_UNSEEN,
    related={"application_type": (APPLICATION_TYPES, "application_type_id")},
    told_empty=("superkey_data",),
)
ENDPOINTS: Final = Resource(
    table="endpoints",
    singular="endpoint",
    event="Endpoint",
    fields={
        "id": Kind.ID,
        **_STAMPS,
        **_AVAILABILITY,
        **_FAILURE,
        **_PAUSE,
        "role": Kind.TEXT,
        "port": Kind.INTEGER,
        "default": Kind.BOOLEAN,
        **_texts("scheme", "host", "path"),
        "verify_ssl": Kind.BOOLEAN,
        **_texts("certificate_authority", "receptor_node"),
        "source_id": Kind.ID,
    },
    optional=_UNSEEN | {"role", "host", "path", "certificate_authority", "receptor_node"},
)
AUTHENTICATIONS: Final = Resource(
    table="authentications",
    singular="authentication",
    event="Authentication",
    fields={
        "id": Kind.ID,
        **_STAMPS,
        **_AVAILABILITY,
        **_FAILURE,
        **_texts("name", "authtype", "username"),
        "extra": Kind.JSON,
        "resource_type": Kind.TEXT,
        "resource_id": Kind.ID,
        "source_id": Kind.ID,
    },
    optional=_UNSEEN | {"name", "authtype", "username"},
)
# The authentications that applications use. They have no routes here, but events.
APPLICATION_AUTHENTICATIONS: Final = Resource(
    table="application_authentications",
    singular="application authentication",
    event="ApplicationAuthentication",
    fields={
        "id": Kind.ID,
        **_STAMPS,
        **_PAUSE,
        "application_id": Kind.ID,
        "authentication_id": Kind.ID,
    },
)
EDITABLE: Final = (SOURCES, APPLICATIONS, ENDPOINTS, AUTHENTICATIONS)
LISTED: Final = (*EDITABLE, SOURCE_TYPES, APPLICATION_TYPES)
# The resources to which an authentication may belong.
HOLDERS: Final = {item.event: item for item in EDITABLE}


def moment_of(text: str) -> datetime:
    """Read a time as clients write it, including upstream's ``2026-08-01 10:00:00 UTC``; raises ``ValueError``."""
    try:
        moment = datetime.fromisoformat(text.replace(" UTC", "Z"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"got {text[:64]!r}, expected a time such as 2026-08-01T10:00:00Z") from None


def decoded(value: str | None) -> Any:
    """Decode a jsonb column."""
    return None if value is None else orjson.loads(value)


def _shown(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind is Kind.ID:
        return str(value)
    if kind is Kind.MOMENT:
        return rfc3339(value)
    return decoded(value) if kind is Kind.JSON else value


def _told(kind: Kind, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return decoded(value) if kind is Kind.JSON else value
