"""The settings of ros_processor: upstream's environment variables, and some of Headrace's own."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from headrace.contracts.kruize import MAX_BULK_RECORDS
from headrace.runtime.settings import Settings, env

# Upstream's variables that are accepted without effect, with the reason.
WITHOUT_EFFECT: Final = {
    "KAFKA_BOOTSTRAP_SERVERS": "HEADRACE_KAFKA names the brokers",
    "KAFKA_AUTO_COMMIT": "an offset is committed once the effects of its message are durable",
    "KAFKA_SECURITY_PROTOCOL": "HEADRACE_KAFKA_SECURITY_PROTOCOL says it",
    "KAFKA_SASL_MECHANISM": "HEADRACE_KAFKA_SASL_MECHANISM says it",
    "KAFKA_SASL_USERNAME": "HEADRACE_KAFKA_USERNAME says it",
    "KAFKA_SASL_PASSWORD": "HEADRACE_KAFKA_PASSWORD says it",
    "KAFKA_SSL_CA_LOCATION": "HEADRACE_KAFKA_CA_FILE names the CA bundle",
    "DB_HOST": "HEADRACE_POSTGRES names the server",
    "DB_PORT": "HEADRACE_POSTGRES names the server",
    "DB_NAME": "the ROS database has the name that the services' table gives it",
    "DB_USER": "HEADRACE_POSTGRES names the user",
    "DB_PASSWORD": "HEADRACE_POSTGRES holds the password",
    "DB_SSL": "HEADRACE_POSTGRES says it (`?sslmode=`)",
    "DB_CA_CERT": "HEADRACE_POSTGRES says it (`?sslrootcert=`)",
    "PROMETHEUS_PORT": "`/metrics` is on HEADRACE_ADMIN_PORT",
    "SERVICE_NAME": "statuses name the service that reports them",
    "LOG_LEVEL": "HEADRACE_LOG_LEVEL sets the process' level",
    "LogFormater": "HEADRACE_LOG_FORMAT sets the process' format",
}


def _port(value: Any) -> Any:
    """Ignore the ``KRUIZE_PORT=tcp://10.0.0.1:8080`` that Kubernetes sets for a Service named kruize."""
    return value.rpartition(":")[2] if isinstance(value, str) else value


def _version(value: Any) -> Any:
    return value.removeprefix("v") if isinstance(value, str) else value


class RosProcessorSettings(Settings):
    """Settings without Headrace's prefix have upstream's meaning."""

    upload_topic: str = env(
        "UPLOAD_TOPIC", "", "topic of the events about usage files; empty: that of the services' table"
    )
    recommendation_topic: str = env(
        "RECOMMENDATION_TOPIC", "", "topic of recommendation requests; empty: that of the services' table"
    )
    sources_event_topic: str = env(
        "SOURCES_EVENT_TOPIC", "", "topic of the Sources API's events; empty: that of the services' table"
    )
    consumer_group: str = env(
        "KAFKA_CONSUMER_GROUP_ID", "", "consumer group; empty: that of the services' table"
    )
    bucket: str = env("REQUESTED_ROS_BUCKET", "ros-data", "bucket of the `object_keys` in events")
    allowed_hosts: frozenset[str] = env(
        "ROS_ALLOWED_HOSTS",
        frozenset(),
        (
            "JSON list of `host` or `host:port` from which usage files may be fetched by URL; Headrace's own "
            "S3 is always read with its own keys"
        ),
    )
    max_fetch_bytes: int = env(
        "ROS_MAX_FETCH_BYTES", 8 << 30, "largest file that is fetched from these hosts", gt=0
    )
    fetch_seconds: float = env("ROS_FETCH_SECONDS", 300.0, "deadline of one fetch from these hosts", gt=0)

    kruize_url: str = env("KRUIZE_URL", "", "URL of Kruize; empty: `http://KRUIZE_HOST:KRUIZE_PORT`")
    kruize_host: str = env("KRUIZE_HOST", "localhost", "host of Kruize")
    kruize_port: Annotated[int, BeforeValidator(_port)] = env(
        "KRUIZE_PORT", 8080, "port of Kruize", gt=0, le=65535
    )
    kruize_timeout_seconds: float = env(
        "GLOBAL_HTTP_CLIENT_TIMEOUT_SECS",
        30.0,
        "deadline of one request to Kruize or the Sources API, seconds",
        gt=0,
    )
    kruize_max_records: int = env(
        "KRUIZE_MAX_BULK_CHUNK_SIZE",
        MAX_BULK_RECORDS,
        "number of intervals in one `/updateResults` request",
        gt=0,
    )
    kruize_concurrency: int = env(
        "ROS_KRUIZE_CONCURRENCY", 4, "number of concurrent requests to Kruize per process", gt=0
    )
    profile_version: Annotated[float, BeforeValidator(_version)] = env(
        "KRUIZE_PERFORMANCE_PROFILE_VERSION", 2.0, "version of the performance profile, such as `v2.0`", gt=0
    )
    update_profile: bool = env("UPDATE_KRUIZE_PERF_PROFILE", True, "replace an older performance profile")

    sources_url: str = env("SOURCES_API_BASE_URL", "http://127.0.0.1:8002", "URL of the Sources API")
    sources_prefix: str = env("SOURCES_API_PREFIX", "/api/sources/v3.1", "path prefix of the Sources API")

    retention_days: int = env(
        "DATA_RETENTION_PERIOD",
        15,
        (
            "days after which usage is deleted, by half-months; for data that is already old on arrival, the "
            "days count from its arrival"
        ),
        gt=0,
    )
    namespaces_disabled: bool = env("DISABLE_NAMESPACE_RECOMMENDATION", False, "ignore namespace files")

    @property
    def kruize(self) -> str:
        """The URL of Kruize."""
        return self.kruize_url or f"http://{self.kruize_host}:{self.kruize_port}"
