"""The bodies of requests."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from headrace.runtime.untrusted import Unreadable, load_json
from headrace_services.sources_api.models import moment_of
from headrace_services.sources_api.refusals import Invalid, Unfit

B = TypeVar("B", bound=BaseModel)

MAX_ID: Final = 2**63 - 1
MAX_TEXT: Final = 4096
# Names and references are indexed, and PostgreSQL limits an index entry.
MAX_NAME: Final = 255
MAX_ITEMS: Final = 200
MAX_VALUES: Final = 20_000
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*")
_LABEL: Final = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")


def _whole(value: Any) -> Any:
    """Accept whole numbers as number or text. Clients send ids as both, and JSON does not distinguish 1.0 from 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value):
        return int(value)
    if isinstance(value, (bool, float, str)):
        raise ValueError("must be a positive whole number")  # noqa: TRY004 -- pydantic takes this one
    return value


def _clean_json(value: Any) -> Any:
    """Refuse NUL, which PostgreSQL's jsonb cannot store."""
    if any("\0" in text for text in _strings(value)):
        raise ValueError("contains a NUL character")
    return value


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item


def _moment(value: Any) -> Any:
    return moment_of(value) if isinstance(value, str) else value


# A text column of PostgreSQL cannot store NUL either.
Text = Annotated[str, Field(max_length=MAX_TEXT, pattern="^[^\\x00]*$")]
Name = Annotated[str, Field(max_length=MAX_NAME, pattern="^[^\\x00]*$")]
Id = Annotated[
    int,
    BeforeValidator(_whole),
    Field(ge=1, le=MAX_ID),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAX_ID},
                {"type": "string", "pattern": "^0*[1-9][0-9]{0,14}$", "maxLength": 15},
            ]
        }
    ),
]
Extra = Annotated[dict[str, Any], AfterValidator(_clean_json)]
Status = Literal["available", "in_progress", "partially_available", "unavailable"]
Moment = Annotated[datetime, BeforeValidator(_moment)]


class _Body(BaseModel):
    """The base of bodies: an unknown key is refused, because a misspelt one would be lost; null counts as absent."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def given(self, *without: str) -> dict[str, Any]:
        """The fields that the client sent."""
        return self.model_dump(exclude_none=True, exclude=set(without))


class _SourceBody(_Body):
    name: Name | None = None
    # The value is accepted and replaced by a generated one, as upstream does.
    uid: Text | None = None
    version: Text | None = None
    imported: Text | None = None
    source_ref: Name | None = None
    # An unknown value counts as absent.
    app_creation_workflow: Text | None = None
    availability_status: Status | Literal[""] | None = None

    @model_validator(mode="after")
    def _named(self) -> "_SourceBody":
        if not self.name:
            raise ValueError("name cannot be empty")
        return self


class SourceCreate(_SourceBody):
    """A source."""

    source_type_id: Id | None = None

    @model_validator(mode="after")
    def _typed(self) -> "SourceCreate":
        if self.source_type_id is None:
            raise ValueError("source type id cannot be empty")
        return self


class SourceEdit(_Body):
    """Changes of a source."""

    name: Name | None = None
    version: Text | None = None
    imported: Text | None = None
    source_ref: Name | None = None
    availability_status: Status | None = None
    last_checked_at: Moment | None = None
    last_available_at: Moment | None = None

    @model_validator(mode="after")
    def _named(self) -> "SourceEdit":
        if self.name == "":
            raise ValueError("name cannot be empty")
        return self


class ApplicationCreate(_Body):
    """An application of a source."""

    extra: Extra | None = None
    source_id: Id | None = None
    application_type_id: Id | None = None

    @model_validator(mode="after")
    def _complete(self) -> "ApplicationCreate":
        for name in ("source_id", "application_type_id"):
            if getattr(self, name) is None:
                raise ValueError(f"missing required parameter {name}")
        return self


class ApplicationEdit(_Body):
    """Changes of an application."""

    extra: Extra | None = None
    availability_status: Status | None = None
    availability_status_error: Text | None = None
    last_checked_at: Moment | None = None
    last_available_at: Moment | None = None


class _EndpointBody(_Body):
    default: bool | None = None
    receptor_node: Text | None = None
    role: Name | None = None
    scheme: Text | None = None
    host: Text | None = None
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    path: Text | None = None
    verify_ssl: bool | None = None
    certificate_authority: Annotated[str, Field(max_length=65536, pattern="^[^\\x00]*$")] | None = None
    availability_status: Literal["available", "in_progress", "unavailable", ""] | None = None
    availability_status_error: Text | None = None

    @model_validator(mode="after")
    def _reachable(self) -> "_EndpointBody":
        if self.scheme and not _SCHEME.fullmatch(self.scheme):
            raise ValueError("the provided scheme is invalid")
        if self.host:
            _check_host(self.host)
        if self.verify_ssl and not self.certificate_authority:
            raise ValueError("the certificate authority cannot be empty")
        return self


class EndpointEdit(_EndpointBody):
    """Changes of an endpoint."""

    last_checked_at: Moment | None = None
    last_available_at: Moment | None = None


class EndpointCreate(_EndpointBody):
    """An endpoint of a source."""

    source_id: Id | None = None

    @model_validator(mode="after")
    def _of_source(self) -> "EndpointCreate":
        if self.source_id is None:
            raise ValueError("the provided source ID is not valid")
        return self


class AuthenticationEdit(_Body):
    """Changes of an authentication."""

    name: Text | None = None
    authtype: Text | None = None
    username: Text | None = None
    password: Annotated[str, Field(max_length=65536, pattern="^[^\\x00]*$")] | None = Field(
        default=None, repr=False
    )
    extra: Extra | None = None
    availability_status: Status | None = None
    availability_status_error: Text | None = None


class _AuthenticationBody(AuthenticationEdit):
    resource_type: Text | None = None

    @model_validator(mode="after")
    def _checked(self) -> "_AuthenticationBody":
        if not self.resource_type:
            raise ValueError("resource_type is required")
        if self.holder not in {"Source", "Endpoint", "Application", "Authentication"}:
            raise ValueError("resource_type must be one of Source, Endpoint, Application, Authentication")
        if self.authtype == "lighthouse_subscription_id":
            _check_subscription(self.username)
        return self

    @property
    def holder(self) -> str:
        """The resource type in its canonical spelling."""
        return (self.resource_type or "").capitalize()


class AuthenticationCreate(_AuthenticationBody):
    """An authentication of a resource."""

    resource_id: Id | None = None

    @model_validator(mode="after")
    def _of_resource(self) -> "AuthenticationCreate":
        if self.resource_id is None:
            raise ValueError("resource_id is required")
        return self


class BulkSource(_SourceBody):
    """A source whose type may be named."""

    source_type_id: Id | None = None
    source_type_name: Name | None = None


class BulkApplication(_Body):
    """An application whose type and source may be named."""

    extra: Extra | None = None
    application_type_id: Id | None = None
    application_type_name: Name | None = None
    source_name: Name | None = None


class BulkEndpoint(_EndpointBody):
    """An endpoint whose source may be named."""

    source_name: Name | None = None


class BulkAuthentication(_AuthenticationBody):
    """An authentication; ``resource_name`` is a source's name, an application type's name, a host, or an id."""

    resource_name: Name | None = None


class BulkCreate(_Body):
    """Sources with everything that belongs to them."""

    sources: Annotated[list[BulkSource], Field(max_length=MAX_ITEMS)] | None = None
    applications: Annotated[list[BulkApplication], Field(max_length=MAX_ITEMS)] | None = None
    endpoints: Annotated[list[BulkEndpoint], Field(max_length=MAX_ITEMS)] | None = None
    authentications: Annotated[list[BulkAuthentication], Field(max_length=MAX_ITEMS)] | None = None


def parsed(kind: type[B], body: bytes) -> B:
    """Read a body. Raises `Invalid` if it is not JSON, `Unfit` with the first fault in it."""
    if not body.strip():
        raise Invalid("no body")
    try:
        value = load_json(body, max_values=MAX_VALUES)
    except Unreadable as error:
        raise Invalid(f"the body is {error}") from None
    if value is None or (isinstance(value, dict) and all(item in (None, []) for item in value.values())):
        raise Invalid("empty body")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise Unfit(_reason(error)) from None


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    own = first.get("ctx", {}).get("error")
    text = str(own) if isinstance(own, ValueError) else first["msg"]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {text}" if where else text


def _check_host(host: str) -> None:
    if len(host) > MAX_NAME:
        raise ValueError(f"the provided host is longer than {MAX_NAME} characters")
    labels = host.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("the provided host is invalid")


def _check_subscription(username: str | None) -> None:
    try:
        UUID((username or "").strip())
    except ValueError:
        raise ValueError("the username must be a subscription's UUID") from None
