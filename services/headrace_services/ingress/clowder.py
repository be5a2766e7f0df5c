"""Converts Clowder's configuration to ingress' settings.

Source: RedHatInsights/insights-ingress-go, internal/config/config.go.
"""

from typing import Any

from headrace.runtime.clowder import Kafka, ObjectStore, read_clowder


def settings_of(path: str, asked: dict[str, str]) -> dict[str, Any]:
    """Return values for `IngressSettings` by field; ``asked`` contains the requested topics and bucket.

    Raises `ConfigurationError` that names the file and its fault.
    """
    file = read_clowder(path)
    values = {
        "web_port": file.public_port or file.web_port,
        "metrics_port": file.metrics_port,
        **(_kafka(file.kafka, asked) if file.kafka else {}),
        **(_objects(file.object_store, asked) if file.object_store else {}),
    }
    return {name: value for name, value in values.items() if value not in {None, ""}}


def _kafka(kafka: Kafka, asked: dict[str, str]) -> dict[str, Any]:
    first = kafka.brokers[0]
    return {
        "kafka_brokers": kafka.servers,
        "kafka_username": first.sasl.username,
        "kafka_password": first.sasl.password,
        "sasl_mechanism": first.sasl.sasl_mechanism,
        "kafka_security_protocol": first.sasl.security_protocol,
        "kafka_ca": first.ca_file(),
        "announce_topic": kafka.topic(asked["announce_topic"]),
        "status_topic": kafka.topic(asked["status_topic"]),
    }


def _objects(store: ObjectStore, asked: dict[str, str]) -> dict[str, Any]:
    bucket = store.bucket(asked["stage_bucket"])
    # Upstream reads only the keys of a bucket; a file may have keys for the whole store instead.
    keys = bucket if bucket and bucket.access_key else store
    return {
        "minio_endpoint": store.address,
        "use_ssl": store.tls,
        "minio_access_key": keys.access_key,
        "minio_secret_key": keys.secret_key,
        "storage_region": bucket.region if bucket else "",
        "stage_bucket": bucket.name if bucket else asked["stage_bucket"],
    }
