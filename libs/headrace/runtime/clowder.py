"""Clowder's configuration file (``ACG_CONFIG``): the brokers, topics and buckets of an application.

Source: RedHatInsights/clowder, the schema of the application configuration; only the parts that Headrace reads.
"""

import tempfile
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from headrace.runtime.errors import ConfigurationError


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, given: Any) -> Any:
        """Treat an optional field with null as absent."""
        return (
            {key: item for key, item in given.items() if item is not None}
            if isinstance(given, dict)
            else given
        )


class Sasl(_Part):
    """The SASL credentials of a broker."""

    username: str = ""
    password: str = Field("", repr=False)
    sasl_mechanism: str = ""
    security_protocol: str = ""


class Broker(_Part):
    """One broker; ``cacert`` is the text of its CA's certificate."""

    hostname: str
    port: int = 9092
    authtype: str = ""
    security_protocol: str = ""
    sasl: Sasl = Sasl()
    cacert: str = ""

    @model_validator(mode="after")
    def _has_credentials(self) -> Self:
        if self.authtype == "sasl" and not self.sasl.sasl_mechanism:
            raise ValueError("authtype is sasl, but sasl.saslMechanism is missing")
        return self

    def ca_file(self) -> str:
        """Write the certificate to a temporary file, which is kept; return its path, empty without one."""
        if not self.cacert:
            return ""
        with tempfile.NamedTemporaryFile("w", prefix="kafka-ca-", suffix=".pem", delete=False) as file:
            file.write(self.cacert)
        return file.name


class _Topic(_Part):
    name: str
    requested_name: str


class Kafka(_Part):
    """The brokers and the granted topics; the first broker defines the security settings of all."""

    brokers: list[Broker] = Field(min_length=1)
    topics: list[_Topic] = []

    @property
    def servers(self) -> str:
        """The bootstrap servers: ``host:port``, separated by commas."""
        return ",".join(f"{broker.hostname}:{broker.port}" for broker in self.brokers)

    def topic(self, requested: str) -> str:
        """Return the granted name of a requested topic, or the requested name."""
        return next((topic.name for topic in self.topics if topic.requested_name == requested), requested)


class Bucket(_Part):
    """A granted bucket: the name that the application requested, its real name, and its own keys if it has any."""

    name: str
    requested_name: str
    access_key: str = ""
    secret_key: str = Field("", repr=False)
    region: str = ""


class ObjectStore(_Part):
    """An S3 server with the granted buckets."""

    hostname: str
    port: int = 443
    tls: bool = False
    access_key: str = ""
    secret_key: str = Field("", repr=False)
    buckets: list[Bucket] = []

    @property
    def address(self) -> str:
        """The host and port."""
        return f"{self.hostname}:{self.port}"

    def bucket(self, requested: str) -> Bucket | None:
        """Return the granted bucket for a requested name, or None."""
        return next((one for one in self.buckets if requested in {one.requested_name, one.name}), None)


class Clowder(_Part):
    """The whole file; ``public_port`` replaces the older ``web_port``."""

    public_port: int | None = None
    web_port: int | None = None
    metrics_port: int | None = None
    kafka: Kafka | None = None
    object_store: ObjectStore | None = None


def read_clowder(path: str) -> Clowder:
    """Read the file; raises `ConfigurationError` that names the file and its faults, but shows no value."""
    try:
        return Clowder.model_validate_json(Path(path).read_bytes())
    except ValidationError as error:
        wrong = "; ".join(
            ": ".join(filter(None, (".".join(map(str, item["loc"])), item["msg"])))
            for item in error.errors(include_url=False, include_input=False, include_context=False)
        )
    except OSError as error:
        wrong = error.strerror or type(error).__name__
    raise ConfigurationError(f"ACG_CONFIG: got {path!r}, expected a Clowder configuration: {wrong}")
