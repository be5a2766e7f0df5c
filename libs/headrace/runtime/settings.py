"""Settings: one class per service, read from the environment and checked at start."""

import os
from typing import Any, Self, TypedDict, TypeVar, Unpack

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from headrace.runtime.errors import ConfigurationError

S = TypeVar("S", bound="Settings")
_Default = TypeVar("_Default")


class Settings(BaseSettings):
    """The base of all settings; an environment variable that is set to the empty string counts as unset.

    A declaration can give the empty string another meaning, so that a user can switch a setting off.
    """

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="forbid", frozen=True, populate_by_name=True, env_nested_delimiter="__"
    )

    @classmethod
    def read(cls) -> Self:
        """Read the settings from the environment; raises `ConfigurationError` with a line for each wrong variable."""
        return load(cls)

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Strip blanks around a flag; a variable that contains only blanks has the value that its declaration names."""
        for field, declared in cls.model_fields.items():
            name = environment_name(cls, field)
            text = given.get(name)
            if declared.annotation is bool and isinstance(text, str):
                given[name] = text.strip()
                if not given[name]:
                    del given[name]
            blank = declared.json_schema_extra
            if isinstance(blank, dict) and not os.environ.get(name, "unset").strip() and field not in given:
                given[name] = blank["blank"]
        return given


class _Constraints(TypedDict, total=False):
    """The constraints of a setting's declaration; ``repr=False`` keeps the value out of messages."""

    gt: float
    ge: float
    le: float
    pattern: str
    min_length: int
    repr: bool


def env(
    name: str,
    default: _Default,
    description: str,
    *,
    blank: _Default | None = None,
    **constraints: Unpack[_Constraints],
) -> _Default:
    """Declare one setting: its environment variable, default and meaning (with the unit).

    The field's type is that of the default, so the type checker compares both. ``blank`` is the value if the variable
    contains only blanks.
    """
    extra: Any = None if blank is None else {"blank": blank}
    declared: _Default = Field(
        default=default,
        validation_alias=name,
        description=description,
        json_schema_extra=extra,
        **constraints,
    )
    return declared


def load(settings: type[S], **overrides: Any) -> S:
    """Read and check the settings; raises `ConfigurationError` with a line for each wrong variable."""
    try:
        return settings(**overrides)
    except ValidationError as error:
        secret = {
            environment_name(settings, name)
            for name, field in settings.model_fields.items()
            if not field.repr
        }
        lines = [_told(item, shown=item["loc"][0] not in secret) for item in error.errors(include_url=False)]
        raise ConfigurationError("; ".join(lines)) from None
    except ValueError as error:  # pydantic-settings raises SettingsError for a text that is not JSON
        raise ConfigurationError(f"{error}: {error.__cause__}") from None


def _told(item: ErrorDetails, *, shown: bool) -> str:
    """Return what is wrong with a variable, without its value and keys if it is secret."""
    variable, *where = item["loc"]
    place = ".".join(map(str, (variable, *(where if shown else where[1:]))))
    return f"{place}: {item['msg']}" + (f" (got {item.get('input')!r})" if shown else "")


class EngineSettings(Settings):
    """The addresses of Kafka, S3 and PostgreSQL. Every service reads them; the local shape sets them."""

    kafka: str = env("HEADRACE_KAFKA", "localhost:29092", "Kafka brokers, `host:port`, comma-separated")
    kafka_security_protocol: str = env(
        "HEADRACE_KAFKA_SECURITY_PROTOCOL",
        "PLAINTEXT",
        "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`",
        pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$",
    )
    kafka_sasl_mechanism: str = env(
        "HEADRACE_KAFKA_SASL_MECHANISM", "PLAIN", "`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`"
    )
    kafka_username: str = env("HEADRACE_KAFKA_USERNAME", "", "SASL user name")
    kafka_password: str = env("HEADRACE_KAFKA_PASSWORD", "", "SASL password", repr=False)
    kafka_ca_file: str = env("HEADRACE_KAFKA_CA_FILE", "", "CA bundle that signs the brokers' certificates")
    kafka_replication: int = env(
        "HEADRACE_KAFKA_REPLICATION", 1, "replication factor of the topics that `headrace init` creates", ge=1
    )
    kafka_partitions: int = env(
        "HEADRACE_KAFKA_PARTITIONS",
        0,
        (
            "number of partitions of the topics that `headrace init` creates, which is also the largest useful "
            "number of replicas; 0: 3"
        ),
        ge=0,
    )
    process_ends: int = env(
        "HEADRACE_PROCESS_ENDS",
        5,
        (
            "number of processes that may end while they handle a message; after that it is dead-lettered "
            "without being handled again"
        ),
        ge=1,
    )
    s3: str = env(
        "HEADRACE_S3",
        "http://localhost:9000",
        "S3 endpoint; the URL may contain keys (`http://key:secret@host:9000`)",
    )
    s3_access_key: str = env("AWS_ACCESS_KEY_ID", "", "S3 access key, unless the URL contains it")
    s3_secret_key: str = env(
        "AWS_SECRET_ACCESS_KEY", "", "S3 secret key, unless the URL contains it", repr=False
    )
    s3_region: str = env("AWS_REGION", "us-east-1", "S3 region")
    s3_public: str = env(
        "HEADRACE_S3_PUBLIC", "", "endpoint in presigned URLs, if consumers use another address for S3"
    )
    s3_aliases: str = env(
        "HEADRACE_S3_ALIASES",
        "minio:9000 localhost:9000",
        (
            "other addresses (`host:port`) of this S3 in the URLs of messages; such objects are read with "
            "Headrace's own keys"
        ),
    )
    postgres: str = env(
        "HEADRACE_POSTGRES",
        "postgresql://postgres@localhost:5432/postgres",
        "PostgreSQL server; each service uses its own database on it",
        repr=False,
    )


class ProcessSettings(Settings):
    """The listeners, logs and limits of one process of services."""

    host: str = env("HEADRACE_HOST", "127.0.0.1", "address that the HTTP listeners bind to")
    admin_port: int = env("HEADRACE_ADMIN_PORT", 9100, "port of `/metrics` and `/health/*`", ge=0, le=65535)
    log_level: str = env("HEADRACE_LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`")
    log_format: str = env(
        "HEADRACE_LOG_FORMAT", "json", "`json` (one object per line) or `text`", pattern="^(json|text)$"
    )
    lenient: bool = env(
        "HEADRACE_LENIENT",
        False,
        (
            "accept requests without the parts that the documents' curl commands omit (identity type, vendor "
            "content type, known token); the local shape turns it on"
        ),
    )
    cluster_owner: str = env(
        "HEADRACE_CLUSTER_OWNER",
        "first",
        (
            "owner of a cluster that several organisations report: `first`, the first organisation, and "
            "reports of others are refused; `last`, as upstream, the last organisation, which takes over the "
            "reports but not what users wrote"
        ),
        pattern="^(first|last)$",
    )
    stop_seconds: float = env(
        "HEADRACE_STOP_SECONDS", 25.0, "time from SIGTERM to exit, including work in progress", gt=0
    )
    body_seconds: float = env(
        "HEADRACE_BODY_SECONDS",
        30.0,
        (
            "time for a request's body in seconds, plus one second per 16 KiB; then the answer is 408; ingress "
            "has its own limit"
        ),
        gt=0,
    )
    answer_seconds: float = env(
        "HEADRACE_ANSWER_SECONDS",
        60.0,
        (
            "time in seconds for which a client may not read its answer, plus one second per 16 KiB that it "
            "read; then its connection is closed"
        ),
        gt=0,
    )
    stall_seconds: float = env(
        "HEADRACE_STALL_SECONDS",
        10.0,
        (
            "an event loop that is blocked for this time has the stacks of its threads and tasks logged; 0: "
            "never"
        ),
        ge=0,
    )
    tracing: bool = env("HEADRACE_TRACING", False, "send OpenTelemetry spans (standard `OTEL_*` variables)")


def environment_name(settings: type[BaseSettings], field: str) -> str:
    """Return the environment variable of a field."""
    alias = settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else field.upper()


def is_set(name: str) -> bool:
    """Return whether the environment has a non-empty value."""
    return bool(os.environ.get(name))
