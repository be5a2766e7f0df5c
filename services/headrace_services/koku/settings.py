"""The settings of koku; upstream's names where upstream has them."""

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
        f"bucket of an archive's other CSVs, which Headrace does not read; `{NO_BUCKET}` discards them",
    )
    url_seconds: int = env(
        "ROS_URL_EXPIRATION",
        172_800,
        "lifetime of the URLs of ROS CSVs in messages, seconds",
        gt=0,
        le=604_800,
    )
    ros_silent: bool = env(
        "DISABLE_ROS_MSG", False, "store ROS CSVs without announcing them in `hccm.ros.events`"
    )
    sources_url: str = env(
        "SOURCES_API_BASE_URL", "", "URL of the Sources API; empty: SOURCES_API_HOST and SOURCES_API_PORT"
    )
    sources_host: str = env("SOURCES_API_HOST", "localhost", "host of the Sources API")
    sources_port: int = env("SOURCES_API_PORT", 8002, "port of the Sources API", ge=0, le=65535)
    sources_prefix: str = env("SOURCES_API_PREFIX", "/api/sources/v1.0", "path prefix of the Sources API")
    sources_psk: str = env(
        "SOURCES_PSK",
        "",
        "pre-shared key that is sent to the Sources API with the identity; empty: none",
        repr=False,
    )
    sources_seconds: float = env(
        "KOKU_SOURCES_TIMEOUT", 10.0, "deadline of one request to the Sources API, seconds", gt=0
    )
    sources_cache_seconds: float = env(
        "KOKU_SOURCES_CACHE_SECONDS",
        30.0,
        "time for which a cluster's source is cached; a change is noticed after this time at the latest",
        ge=0,
    )
    register_sources: bool | None = env(
        "KOKU_REGISTER_SOURCES",
        None,
        (
            "register the source of a cluster that the Sources API does not know; unset: the value of "
            "HEADRACE_LENIENT"
        ),
    )
    allowed_hosts: frozenset[str] = env(
        "KOKU_ALLOWED_HOSTS",
        frozenset(),
        (
            "JSON list of `host` or `host:port` from which uploads that another ingress announced may be "
            "fetched; Headrace's own S3 is always read with its own keys"
        ),
    )
    max_fetch_bytes: int = env(
        "KOKU_MAX_FETCH_BYTES", 1 << 30, "largest upload that is fetched from these hosts", gt=0
    )
    fetch_seconds: float = env("KOKU_FETCH_SECONDS", 120.0, "deadline of one fetch from these hosts", gt=0)

    @property
    def sources_api(self) -> str:
        """The URL of the Sources API."""
        return self.sources_url or f"http://{self.sources_host}:{self.sources_port}"
