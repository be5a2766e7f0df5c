"""Settings: one small class a service, read from the environment, checked at start."""

import os
from typing import Any, Self, TypedDict, TypeVar, Unpack

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from headrace.runtime.errors import ConfigurationError

S = TypeVar("S", bound="Settings")
_Default = TypeVar("_Default")


class Settings(BaseSettings):
    """Base of all settings; an environment variable set to the empty text counts as unset.

    Unless its declaration says what the empty text means: what somebody may have meant to turn off stays off.
    """

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="forbid", frozen=True, populate_by_name=True, env_nested_delimiter="__"
    )

    @classmethod
    def read(cls) -> Self:
        """Read from where an operator writes them; raises `ConfigurationError` with a line for each wrong variable."""
        return load(cls)

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Blanks around a flag do not matter; a variable that is set but blank is what its declaration says."""
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
    """What a setting's declaration may demand of the value; ``repr=False`` keeps the value out of messages."""

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
    """Declare one setting: its environment variable, its default, what it means (with its unit).

    It is typed as its default, so that the type checker compares the default with the field's type.
    ``blank`` is the value of the setting where its variable is set to nothing but blanks.
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
    """Read and check; raises `ConfigurationError` with a line for each wrong variable."""
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
    except ValueError as error:  # pydantic-settings raises SettingsError for text that is no JSON
        raise ConfigurationError(f"{error}: {error.__cause__}") from None


def _told(item: ErrorDetails, *, shown: bool) -> str:
    """What is wrong with a variable; what a secret one holds, its keys included, stays out of it."""
    variable, *where = item["loc"]
    place = ".".join(map(str, (variable, *(where if shown else where[1:]))))
    return f"{place}: {item['msg']}" + (f" (got {item.get('input')!r})" if shown else "")


class EngineSettings(Settings):
    """Where Kafka, S3 and PostgreSQL are. Read by every service; the local shape fills them in."""

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
        "partitions of the topics that `headrace init` creates, and so the most replicas that share one; 0: 3",
        ge=0,
    )
    process_ends: int = env(
        "HEADRACE_PROCESS_ENDS",
        5,
        "so many processes may end while they handle a message, before it is dead-lettered without being handled again",
        ge=1,
    )
    s3: str = env(
        "HEADRACE_S3",
        "http://localhost:9000",
        "S3 endpoint; keys may stand in it (`http://key:secret@host:9000`)",
    )
    s3_access_key: str = env("AWS_ACCESS_KEY_ID", "", "S3 access key, unless it stands in the URL")
    s3_secret_key: str = env(
        "AWS_SECRET_ACCESS_KEY", "", "S3 secret key, unless it stands in the URL", repr=False
    )
    s3_region: str = env("AWS_REGION", "us-east-1", "S3 region")
    s3_public: str = env(
        "HEADRACE_S3_PUBLIC", "", "endpoint that presigned URLs name, where consumers know S3 by another name"
    )
    s3_aliases: str = env(
        "HEADRACE_S3_ALIASES",
        "minio:9000 localhost:9000",
        "more names, `host:port`, by which URLs in messages may know our S3; they are read from it, with our keys",
    )
    postgres: str = env(
        "HEADRACE_POSTGRES",
        "postgresql://postgres@localhost:5432/postgres",
        "PostgreSQL server; each service uses a database of its own on it",
        repr=False,
    )


class ProcessSettings(Settings):
    """What one process of services listens on and how it talks."""

    host: str = env("HEADRACE_HOST", "127.0.0.1", "address the HTTP listeners bind")
    admin_port: int = env("HEADRACE_ADMIN_PORT", 9100, "port of `/metrics` and `/health/*`", ge=0, le=65535)
    log_level: str = env("HEADRACE_LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`")
    log_format: str = env(
        "HEADRACE_LOG_FORMAT", "json", "`json` (one object a line) or `text`", pattern="^(json|text)$"
    )
    lenient: bool = env(
        "HEADRACE_LENIENT",
        False,
        "accept what the seed documents' curls leave out (identity type, vendor content type, known token); "
        "the local shape turns it on",
    )
    cluster_owner: str = env(
        "HEADRACE_CLUSTER_OWNER",
        "first",
        "whose a cluster is that several organisations report: `first`, the first one's, and the others are refused; "
        "`last`, as upstream, the last one's, and its reports go along, never what users wrote",
        pattern="^(first|last)$",
    )
    stop_seconds: float = env(
        "HEADRACE_STOP_SECONDS", 25.0, "time from SIGTERM to exit, work in flight included", gt=0
    )
    body_seconds: float = env(
        "HEADRACE_BODY_SECONDS",
        30.0,
        "time that a request's body may take, seconds, and one more for each 16 KiB of it, then 408; ingress has its "
        "own",
        gt=0,
    )
    answer_seconds: float = env(
        "HEADRACE_ANSWER_SECONDS",
        60.0,
        "time that a client may leave an answer unread, seconds, and one more for each 16 KiB that it took; then its "
        "connection is cut",
        gt=0,
    )
    stall_seconds: float = env(
        "HEADRACE_STALL_SECONDS",
        10.0,
        "an event loop that stands still so long has its threads' and tasks' stacks logged; 0: never",
        ge=0,
    )
    tracing: bool = env("HEADRACE_TRACING", False, "send OpenTelemetry spans (standard `OTEL_*` variables)")


def environment_name(settings: type[BaseSettings], field: str) -> str:
    """The environment variable of a field."""
    alias = settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else field.upper()


def is_set(name: str) -> bool:
    """Whether the environment has a non-empty value."""
    return bool(os.environ.get(name))
