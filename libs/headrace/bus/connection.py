"""The keyword arguments with which every aiokafka client connects to Kafka."""

import ssl
from typing import Any, Final

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import EngineSettings

# An answer that takes longer will not come: drop the connection and try again on a new one.
REQUEST_TIMEOUT_MS: Final = 10_000
# Partitions added to a topic are seen after this long at the latest.
METADATA_MAX_AGE_MS: Final = 60_000


def client_arguments(settings: EngineSettings, *, client_id: str) -> dict[str, Any]:
    """Return bootstrap servers, security and time-outs, for producer, consumer and admin client."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.kafka,
        "client_id": client_id,
        "security_protocol": settings.kafka_security_protocol,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "metadata_max_age_ms": METADATA_MAX_AGE_MS,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        arguments["ssl_context"] = _ssl_context(settings.kafka_ca_file)
    if settings.kafka_security_protocol.startswith("SASL"):
        arguments |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password,
        }
    return arguments


def _ssl_context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"HEADRACE_KAFKA_CA_FILE: got {ca_file!r} ({error}), expected a readable PEM bundle"
        ) from None
