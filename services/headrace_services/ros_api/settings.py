"""What an operator can set: upstream's environment variables, and a few of ours."""

from typing import Final

from headrace.runtime.settings import Settings, env

# Upstream's variables that are accepted and do nothing here, and why.
WITHOUT_EFFECT: Final = {
    "DB_HOST": "HEADRACE_POSTGRES names the server",
    "DB_PORT": "HEADRACE_POSTGRES names the server",
    "DB_USER": "HEADRACE_POSTGRES names the user",
    "DB_PASSWORD": "HEADRACE_POSTGRES holds the password",
    "DB_NAME": "the database is `postgres`, which the ROS services share",
    "DB_SSL": "HEADRACE_POSTGRES takes `?sslmode=`",
    "DB_CA_CERT": "HEADRACE_POSTGRES takes `?sslrootcert=`",
    "PROMETHEUS_PORT": "`/metrics` is on HEADRACE_ADMIN_PORT",
    "SERVICE_NAME": "nothing here names itself",
    "READ_HEADER_TIMEOUT": "a connection has 15 s to send its first headers, on every port",
    "LOG_LEVEL": "HEADRACE_LOG_LEVEL sets the process' level",
}


class RosApiSettings(Settings):
    """Settings of the ROS API."""

    default_org_id: str = env(
        "ROS_API_DEFAULT_ORG_ID",
        "",
        "organisation of a request without `x-rh-identity`; empty: 401 (local shape: 12345)",
    )
    rbac_enable: bool = env("RBAC_ENABLE", False, "ask RBAC for the permissions of a client")
    rbac_host: str = env("RBACHOST", "localhost", "RBAC's host")
    rbac_port: int = env("RBACPORT", 9080, "RBAC's port", gt=0, le=65535)
    rbac_protocol: str = env("RBACPROTOCOL", "http", "`http` or `https`", pattern="^https?$")
    rbac_seconds: float = env(
        "GLOBAL_HTTP_CLIENT_TIMEOUT_SECS", 30.0, "deadline for all of RBAC's pages, seconds", gt=0
    )
    record_limit_csv: int = env(
        "RECORD_LIMIT_CSV", 1000, "largest number of recommendations in one CSV", gt=0
    )
    csv_stream_interval: int = env(
        "CSV_STREAM_INTERVAL",
        100,
        "number of recommendations after which a long answer is flushed, which is also the number in memory",
        gt=0,
        le=10_000,
    )
    max_values: int = env("MAXIMUM_COUNT_PER_QUERY_PARAM", 5, "largest number of values of one filter", gt=0)
    max_streams: int = env(
        "ROS_API_MAX_STREAMS",
        4,
        (
            "number of long answers (CSV, `limit=-1`) at once, each of which occupies a PostgreSQL connection; "
            "others wait briefly, then get 503"
        ),
        gt=0,
    )
    stall_seconds: float = env(
        "ROS_API_STALL_SECONDS",
        15.0,
        "time after which a client that reads nothing is disconnected, seconds",
        gt=0,
    )

    stream_seconds: float = env("ROS_API_STREAM_SECONDS", 300.0, "time for a long answer, seconds", gt=0)

    @property
    def rbac_url(self) -> str:
        """Where RBAC is."""
        return f"{self.rbac_protocol}://{self.rbac_host}:{self.rbac_port}"
