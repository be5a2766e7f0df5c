"""What an operator can set; upstream's names where upstream has them."""

from typing import Final

from headrace.runtime.settings import Settings, env

WITHOUT_EFFECT: Final = {
    "INSIGHTS_KAFKA_HOST": "HEADRACE_KAFKA names the brokers",
    "INSIGHTS_KAFKA_PORT": "HEADRACE_KAFKA names the brokers",
    "S3_ENDPOINT": "HEADRACE_S3 names the store",
    "S3_ACCESS_KEY": "AWS_ACCESS_KEY_ID or HEADRACE_S3 holds it",
    "S3_SECRET": "AWS_SECRET_ACCESS_KEY or HEADRACE_S3 holds it",
    "S3_REGION": "AWS_REGION names it",
    "S3_CONNECTION_TIMEOUT": "every request has a deadline that grows with its size",
    "RETRY_SECONDS": "retries back off with jitter, then hold the partition",
}

NO_BUCKET: Final = "none"


class KokuSettings(Settings):
    """Settings of koku."""

    ros_bucket: str = env("REQUESTED_ROS_BUCKET", "ros-data", "bucket of the ROS CSVs")
    bucket: str = env(
        "REQUESTED_BUCKET",
        "koku-bucket",
        f"bucket of the other CSVs of an archive, which nothing here reads; `{NO_BUCKET}` keeps none of them",
    )
    url_seconds: int = env(
        "ROS_URL_EXPIRATION",
        172_800,
        "how long the URLs of ROS CSVs in messages are valid, seconds",
        gt=0,
        le=604_800,
    )
    ros_silent: bool = env(
        "DISABLE_ROS_MSG", False, "store ROS CSVs and tell nobody: no message to `hccm.ros.events`"
    )
    sources_url: str = env("SOURCES_API_BASE_URL", "", "Sources API; empty: the host and the port below")
    sources_host: str = env("SOURCES_API_HOST", "localhost", "host of the Sources API")
    sources_port: int = env("SOURCES_API_PORT", 8002, "port of the Sources API", ge=0, le=65535)
    sources_prefix: str = env("SOURCES_API_PREFIX", "/api/sources/v1.0", "where its routes begin")
    sources_psk: str = env(
        "SOURCES_PSK",
        "",
        "pre-shared key sent to the Sources API beside the identity; empty: none",
        repr=False,
    )
    sources_seconds: float = env("KOKU_SOURCES_TIMEOUT", 10.0, "deadline of one call to it, seconds", gt=0)
    sources_cache_seconds: float = env(
        "KOKU_SOURCES_CACHE_SECONDS",
        30.0,
        "how long a cluster's source is remembered, and so how late a change of it is noticed at most",
        ge=0,
    )
    register_sources: bool | None = env(
        "KOKU_REGISTER_SOURCES",
        None,
        "register the source of a cluster that the Sources API does not know; unset: as HEADRACE_LENIENT says",
    )
    allowed_hosts: frozenset[str] = env(
        "KOKU_ALLOWED_HOSTS",
        frozenset(),
        "JSON list of `host` or `host:port`: where uploads announced by another ingress may be fetched from; "
        "our own S3 is always read with our own keys",
    )
    max_fetch_bytes: int = env(
        "KOKU_MAX_FETCH_BYTES", 1 << 30, "largest upload fetched from those hosts", gt=0
    )
    fetch_seconds: float = env("KOKU_FETCH_SECONDS", 120.0, "deadline of one fetch from those hosts", gt=0)

    @property
    def sources_api(self) -> str:
        """The Sources API's URL."""
        return self.sources_url or f"http://{self.sources_host}:{self.sources_port}"
