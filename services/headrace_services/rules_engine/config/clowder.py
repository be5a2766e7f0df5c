"""Clowder: brokers, topics and buckets that a cluster gives its applications by a file.

Where ``CLOWDER_ENABLED`` is true, the file that ``ACG_CONFIG`` names goes before what a config.yaml says.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headrace.runtime.errors import ConfigurationError

_TRUE: Final = frozenset({"1", "true", "yes"})
_TOPICS: Final = ("incoming_topic", "outgoing_topic", "dead_letter_queue_topic", "topic")


def with_clowder(document: Mapping[str, Any], variables: Mapping[str, str]) -> Mapping[str, Any]:
    """Lay what Clowder gives over a document; raises `ConfigurationError` when its file is not as it should be."""
    service = document.get("service")
    if variables.get("CLOWDER_ENABLED", "").lower() not in _TRUE or not isinstance(service, Mapping):
        return document
    given = _read(variables.get("ACG_CONFIG", ""))
    try:
        kafka, topics = _broker(given), _topics(given)
        changed = dict(service)
        for key in ("consumer", "publisher"):
            changed[key] = _with_kafka(changed.get(key), kafka, topics)
        if isinstance(service.get("watchers"), list):
            changed["watchers"] = [_with_kafka(item, kafka, topics) for item in service["watchers"]]
        changed["downloader"] = _with_bucket(changed.get("downloader"), given.get("objectStore") or {})
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"ACG_CONFIG: {variables.get('ACG_CONFIG')}: {type(error).__name__} {error}; expected Clowder's"
            " kafka.brokers, kafka.topics and objectStore"
        ) from None
    return {**document, "service": {key: value for key, value in changed.items() if value is not None}}


def _read(path: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"ACG_CONFIG: got {path!r}, expected a JSON file: {error}") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"ACG_CONFIG: {path}: got {type(found).__name__}, expected an object")
    return found


def _broker(given: Mapping[str, Any]) -> dict[str, Any]:
    brokers = (given.get("kafka") or {}).get("brokers") or []
    if not brokers:
        return {}
    first = brokers[0]
    found = {"bootstrap.servers": ",".join(f"{item['hostname']}:{item['port']}" for item in brokers)}
    if first.get("cacert"):
        found["ssl.ca.location"] = _written(first["cacert"])
        found["security.protocol"] = "SSL"
    if first.get("authtype") == "sasl":
        sasl = first["sasl"]
        found |= {
            "sasl.mechanisms": sasl["saslMechanism"],
            "sasl.username": sasl["username"],
            "sasl.password": sasl["password"],
            "security.protocol": sasl["securityProtocol"],
        }
    elif first.get("securityProtocol"):
        found["security.protocol"] = first["securityProtocol"]
    return found


def _topics(given: Mapping[str, Any]) -> dict[str, str]:
    topics = (given.get("kafka") or {}).get("topics") or []
    return {item["requestedName"]: item["name"] for item in topics}


def _with_kafka(part: Any, kafka: Mapping[str, Any], topics: Mapping[str, str]) -> Any:
    kwargs = part.get("kwargs") if isinstance(part, Mapping) else None
    if not isinstance(kwargs, Mapping) or not any(key in kwargs for key in _TOPICS):
        return part
    renamed = {
        key: topics.get(kwargs[key], kwargs[key]) for key in _TOPICS if isinstance(kwargs.get(key), str)
    }
    broker = {**(kwargs.get("kafka_broker_config") or {}), **kafka}
    return {**part, "kwargs": {**kwargs, **renamed, **({"kafka_broker_config": broker} if broker else {})}}


def _with_bucket(part: Any, store: Mapping[str, Any]) -> Any:
    kwargs = part.get("kwargs") if isinstance(part, Mapping) else None
    if not isinstance(kwargs, Mapping) or "bucket" not in kwargs:
        return part
    for bucket in store.get("buckets") or []:
        if kwargs["bucket"] in {bucket.get("requestedName"), bucket["name"]}:
            scheme = "https" if store.get("tls") else "http"
            return {
                **part,
                "kwargs": {
                    **kwargs,
                    "bucket": bucket["name"],
                    "access_key": bucket["accessKey"],
                    "secret_key": bucket["secretKey"],
                    "endpoint": f"{scheme}://{store['hostname']}:{store['port']}",
                },
            }
    return part


def _written(certificate: str) -> str:
    """Clowder gives the certificate itself; a client wants a file, which lasts as long as the process' container."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False, encoding="utf-8") as file:
        file.write(certificate)
    return file.name
