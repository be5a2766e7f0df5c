"""The brokers, topics and buckets that Clowder gives an application in a file.

If ``CLOWDER_ENABLED`` is true, the file that ``ACG_CONFIG`` names takes precedence over the config.yaml.
"""

from collections.abc import Mapping
from typing import Any, Final

from headrace.runtime.clowder import Kafka, ObjectStore, read_clowder

_TRUE: Final = frozenset({"1", "true", "yes"})
_TOPICS: Final = ("incoming_topic", "outgoing_topic", "dead_letter_queue_topic", "topic")


def with_clowder(document: Mapping[str, Any], variables: Mapping[str, str]) -> Mapping[str, Any]:
    """Merge Clowder's values into a document; raises `ConfigurationError` if its file is invalid."""
    service = document.get("service")
    if variables.get("CLOWDER_ENABLED", "").lower() not in _TRUE or not isinstance(service, Mapping):
        return document
    given = read_clowder(variables.get("ACG_CONFIG", ""))
    changed = dict(service)
    if kafka := given.kafka:
        broker = _broker(kafka)
        for key in ("consumer", "publisher"):
            changed[key] = _with_kafka(changed.get(key), broker, kafka)
        if isinstance(service.get("watchers"), list):
            changed["watchers"] = [_with_kafka(item, broker, kafka) for item in service["watchers"]]
    if given.object_store:
        changed["downloader"] = _with_bucket(changed.get("downloader"), given.object_store)
    return {**document, "service": {key: value for key, value in changed.items() if value is not None}}


def _broker(kafka: Kafka) -> dict[str, Any]:
    first = kafka.brokers[0]
    found = {"bootstrap.servers": kafka.servers}
    if ca_file := first.ca_file():
        found["ssl.ca.location"] = ca_file
        found["security.protocol"] = "SSL"
    if first.authtype == "sasl":
        found |= {
            "sasl.mechanisms": first.sasl.sasl_mechanism,
            "sasl.username": first.sasl.username,
            "sasl.password": first.sasl.password,
            "security.protocol": first.sasl.security_protocol,
        }
    elif first.security_protocol:
        found["security.protocol"] = first.security_protocol
    return found


def _with_kafka(part: Any, broker: Mapping[str, Any], kafka: Kafka) -> Any:
    kwargs = part.get("kwargs") if isinstance(part, Mapping) else None
    if not isinstance(kwargs, Mapping) or not any(key in kwargs for key in _TOPICS):
        return part
    renamed = {key: kafka.topic(kwargs[key]) for key in _TOPICS if isinstance(kwargs.get(key), str)}
    access = {**(kwargs.get("kafka_broker_config") or {}), **broker}
    return {**part, "kwargs": {**kwargs, **renamed, "kafka_broker_config": access}}


def _with_bucket(part: Any, store: ObjectStore) -> Any:
    kwargs = part.get("kwargs") if isinstance(part, Mapping) else None
    if not isinstance(kwargs, Mapping) or not isinstance(kwargs.get("bucket"), str):
        return part
    bucket = store.bucket(kwargs["bucket"])
    if bucket is None:
        return part
    granted = {
        "bucket": bucket.name,
        "access_key": bucket.access_key,
        "secret_key": bucket.secret_key,
        "endpoint": f"{'https' if store.tls else 'http'}://{store.address}",
    }
    return {**part, "kwargs": {**kwargs, **granted}}
