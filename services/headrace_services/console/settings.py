"""What an operator can set."""

from headrace.runtime.settings import Settings, env


class ConsoleSettings(Settings):
    """Settings of the console."""

    ingress: str = env("CONSOLE_INGRESS_URL", "http://localhost:3000", "URL of ingress")
    payload_tracker: str = env(
        "CONSOLE_PAYLOAD_TRACKER_URL", "http://localhost:8003", "URL of the payload tracker"
    )
    archiver: str = env("CONSOLE_ARCHIVER_URL", "http://localhost:8004", "URL of the archiver")
    results_aggregator: str = env(
        "CONSOLE_RESULTS_AGGREGATOR_URL", "http://localhost:8006", "URL of the results aggregator"
    )
    ros_api: str = env("CONSOLE_ROS_API_URL", "http://localhost:8001", "URL of the ROS API")
    assisted_events: str = env(
        "CONSOLE_ASSISTED_EVENTS_URL", "http://localhost:8090", "URL of assisted_events"
    )
    assisted_events_token: str = env(
        "ASSISTED_EVENTS_TOKEN",
        "",
        "bearer token of assisted_events' REST API; empty: the API is open",
        pattern="^[!-~]*$",
        repr=False,
    )
    health: str = env(
        "CONSOLE_HEALTH_URLS",
        "",
        (
            "URLs of health reports (`http://host:9100/health`), comma-separated; the overview shows what they "
            "say; empty: that of the console's own process, which in the local shape covers every service"
        ),
    )
    hosts: str = env(
        "CONSOLE_HOSTS",
        "",
        (
            "names by which browsers reach the console (`console.example.com`), comma-separated; a request with "
            "another Host header is refused; `localhost`, `127.0.0.1` and `[::1]` are always accepted; empty: "
            "only these if HEADRACE_LENIENT is on, any name otherwise"
        ),
    )
    lenient_anywhere: bool = env(
        "CONSOLE_LENIENT_ANYWHERE",
        False,
        (
            "start without a login (HEADRACE_LENIENT) also if HEADRACE_HOST is not a loopback address; "
            "everybody who reaches the port sees all organisations and can redrive"
        ),
    )
    operator_role: str = env(
        "CONSOLE_OPERATOR_ROLE",
        "headrace-operator",
        "role that an associate needs to see all organisations, topics and dead letters, and to redrive",
        min_length=1,
    )
    bucket: str = env(
        "INGRESS_STAGEBUCKET", "insights-upload-perma", "bucket in which ingress stores uploads by request id"
    )
    max_streams: int = env(
        "CONSOLE_MAX_STREAMS", 64, "number of pages that get live updates at the same time", ge=1
    )

    @property
    def host_names(self) -> frozenset[str]:
        """The configured names, in lower case."""
        return frozenset(name.strip().lower() for name in self.hosts.split(",") if name.strip())

    @property
    def health_urls(self) -> tuple[str, ...]:
        """The configured health reports."""
        return tuple(url.strip() for url in self.health.split(",") if url.strip())
