"""The settings of ros_poller."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from headrace.runtime.settings import Settings, env

WITHOUT_EFFECT = {
    "KRUIZE_WAIT_TIME": "a Kruize that is away is asked again with growing pauses until it answers",
}


def _port(value: Any) -> Any:
    """Ignore the ``KRUIZE_PORT=tcp://10.0.0.1:8080`` that Kubernetes sets for a Service named kruize."""
    return value.rpartition(":")[2] if isinstance(value, str) else value


class PollerSettings(Settings):
    """Settings of ros_poller."""

    recommendation_topic: str = env(
        "RECOMMENDATION_TOPIC", "", "topic of recommendation requests; empty: that of the services' table"
    )
    consumer_group: str = env(
        "KAFKA_CONSUMER_GROUP_ID",
        "",
        "consumer group, to which `-poller` is added; empty: that of the services' table",
    )

    kruize_url: str = env(
        "KRUIZE_URL",
        "",
        "URL of Kruize; empty: built from `KRUIZE_HOST` and `KRUIZE_PORT`",
        pattern="^(https?://.+)?$",
    )
    kruize_host: str = env("KRUIZE_HOST", "localhost", "host of Kruize, if `KRUIZE_URL` is empty")
    kruize_port: Annotated[int, BeforeValidator(_port)] = env(
        "KRUIZE_PORT", 8080, "port of Kruize, if `KRUIZE_URL` is empty", gt=0, le=65535
    )
    timeout_seconds: float = env(
        "GLOBAL_HTTP_CLIENT_TIMEOUT_SECS", 30.0, "deadline of one request to Kruize, seconds", gt=0, le=55
    )
    interval_hours: int = env(
        "RECOMMENDATION_POLL_INTERVAL_HOURS",
        24,
        "hours of new usage after which a stored recommendation is renewed; the first day of a month renews it too",
        ge=0,
    )

    @property
    def kruize(self) -> str:
        """The URL of Kruize."""
        return self.kruize_url or f"http://{self.kruize_host}:{self.kruize_port}"
