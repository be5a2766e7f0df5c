"""Clowder's configuration file (``ACG_CONFIG``), read as settings of ingress.

Source: RedHatInsights/clowder, the app configuration schema; only what ingress reads of it.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace.runtime.errors import ConfigurationError


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Sasl(_Part):
    username: str = ""
    password: str = ""
    saslMechanism: str = ""  # noqa: N815 -- the file's name
    securityProtocol: str = ""  # noqa: N815 -- the file's name


class _Broker(_Part):
    hostname: str
    port: int = 9092
    sasl: _Sasl | None = None
    cacert: str = ""


class _Renamed(_Part):
    name: str
    requestedName: str  # noqa: N815 -- the file's name


class _Kafka(_Part):
    brokers: list[_Broker] = Field(min_length=1)
    topics: list[_Renamed] = []


class _ObjectStore(_Part):
    hostname: str
    port: int = 443
    tls: bool = False
    accessKey: str = ""  # noqa: N815 -- the file's name
    secretKey: str = ""  # noqa: N815 -- the file's name
    buckets: list[_Renamed] = []


class _File(_Part):
    webPort: int | None = None  # noqa: N815 -- the file's name
    metricsPort: int | None = None  # noqa: N815 -- the file's name
    kafka: _Kafka | None = None
    objectStore: _ObjectStore | None = None  # noqa: N815 -- the file's name


def settings_of(path: str, asked: dict[str, str]) -> dict[str, Any]:
    """Values for `IngressSettings` by field; ``asked`` holds the topics and the bucket as they are requested.

    Raises `ConfigurationError` naming the file and what is wrong in it.
    """
    try:
        file = _File.model_validate(json.loads(Path(path).read_text()))
    except (OSError, ValueError, ValidationError) as error:
        raise ConfigurationError(
            f"ACG_CONFIG: got {path!r}, expected a Clowder configuration: {error}"
        ) from None
    values: dict[str, Any] = {"web_port": file.webPort, "metrics_port": file.metricsPort}
    if file.kafka:
        values |= _kafka(file.kafka, asked)
    if store := file.objectStore:
        values |= {
            "minio_endpoint": f"{store.hostname}:{store.port}",
            "use_ssl": store.tls,
            "minio_access_key": store.accessKey,
            "minio_secret_key": store.secretKey,
            "stage_bucket": _granted(store.buckets, asked["stage_bucket"]),
        }
    return {name: value for name, value in values.items() if value not in {None, ""}}


def _kafka(kafka: _Kafka, asked: dict[str, str]) -> dict[str, Any]:
    first = kafka.brokers[0]
    sasl = first.sasl or _Sasl()
    return {
        "kafka_brokers": ",".join(f"{broker.hostname}:{broker.port}" for broker in kafka.brokers),
        "kafka_username": sasl.username,
        "kafka_password": sasl.password,
        "sasl_mechanism": sasl.saslMechanism,
        "kafka_security_protocol": sasl.securityProtocol,
        "kafka_ca": _ca_file(first.cacert),
        "announce_topic": _granted(kafka.topics, asked["announce_topic"]),
        "status_topic": _granted(kafka.topics, asked["status_topic"]),
    }


def _granted(items: list[_Renamed], requested: str) -> str:
    return next((item.name for item in items if item.requestedName == requested), requested)


def _ca_file(pem: str) -> str:
    """The file holds the certificate's text; clients want a path."""
    if not pem:
        return ""
    with tempfile.NamedTemporaryFile("w", prefix="kafka-ca-", suffix=".pem", delete=False) as file:
        file.write(pem)
    return file.name
