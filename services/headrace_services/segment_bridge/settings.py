"""The settings of segment_bridge; upstream's names where upstream has them."""

from typing import Annotated, Final

from pydantic import AfterValidator

from headrace.runtime.settings import Settings, env

HOST_NAMESPACE: Final = "toolchain-host-operator"
_URL: Final = "^([a-zA-Z][a-zA-Z0-9+.-]*://)?[^/]+"


def _with_scheme(url: str) -> str:
    """Return a URL with a scheme; like curl, assume HTTP."""
    scheme, named, rest = url.partition("://")
    if not named:
        return f"http://{url}"
    if scheme.lower() not in {"http", "https"}:
        raise ValueError("expected an http or https URL")
    return f"{scheme.lower()}://{rest}"


Url = Annotated[str, AfterValidator(_with_scheme)]


class MapSettings(Settings):
    """The clusters with UserSignups and namespaces. ``KUBECONFIG`` and a pod's service account apply as usual."""

    kubeconfig: str = env(
        "KUBECONFIG_SRC",
        "",
        (
            "kubeconfig for reading UserSignups and namespaces; empty: KUBECONFIG, ~/.kube/config, or the "
            "pod's service account"
        ),
    )
    contexts: str = env(
        "CONTEXTS",
        "",
        "contexts whose namespaces are read, separated by blanks; a later one wins; empty: the current one",
    )
    host_context: str = env(
        "SEGMENT_HOST_CONTEXT", "", "context whose UserSignups are read; empty: the current one"
    )
    numeric_ids: bool = env(
        "SEGMENT_NUMERIC_IDS",
        False,
        "write the ids of the map as JSON numbers, as upstream does; Segment requires text",
    )


class SplunkSettings(Settings):
    """Splunk: its address, the searched index, and the retries."""

    url: Url = env(
        "SPLUNK_API_URL", "https://splunk-api.corp.redhat.com:8089", "URL of Splunk's API", pattern=_URL
    )
    app_name: str = env(
        "SPLUNK_APP_NAME", "rh_rhtap", "Splunk app whose permissions and lookups apply", min_length=1
    )
    index: str = env("SPLUNK_INDEX", "federated:rh_rhtap_stage_audit", "index to search", min_length=1)
    earliest: str = env(
        "QUERY_EARLIEST_TIME", "-4hours", "start of the window: relative (`-4hours`, `-1d@d`) or ISO 8601"
    )
    latest: str = env("QUERY_LATEST_TIME", "-0hours", "end of the window, in the same form")
    retries: int = env("SPLUNK_RETRIES", 3, "number of retries of a query", ge=0)
    retry_budget_seconds: float = env(
        "SPLUNK_RETRY_BUDGET_SECONDS", 300.0, "time after which a query is not retried", ge=0
    )
    query_seconds: float = env("SPLUNK_QUERY_SECONDS", 3600.0, "deadline of one attempt of a query", gt=0)
    idle_seconds: float = env(
        "SPLUNK_IDLE_SECONDS", 600.0, "time without data after which an answer counts as lost", gt=0
    )
    netrc: str = env(
        "CURL_NETRC",
        "~/.netrc",
        (
            "netrc file with the logins for the hosts in the URLs; the login for Segment is the write key, "
            "with an empty password"
        ),
    )
    ca_file: str = env("SPLUNK_CA_FILE", "", "CA bundle that signs Splunk's certificate; empty: the system's")
    insecure: bool = env(
        "SPLUNK_INSECURE",
        False,
        "accept any certificate, for example the self-signed one of a Splunk container",
    )
    collection: str = env(
        "SPLUNK_UID_MAP_COLLECTION",
        "segment_uid_map",
        "KV store collection (and lookup) for the map of user ids",
        pattern="^[A-Za-z][A-Za-z0-9_]*$",
    )
    workspace_collection: str = env(
        "SPLUNK_WS_MAP_COLLECTION",
        "segment_ws_map",
        "KV store collection (and lookup) for the map of workspaces",
        pattern="^[A-Za-z][A-Za-z0-9_]*$",
    )


class SegmentSettings(Settings):
    """The transformation of records and the upload to Segment."""

    uid_map_file: str = env("UID_MAP_FILE", "", "file with the map of user names to ids, a JSON object")
    ws_map_file: str = env("WS_MAP_FILE", "", "file with the map of namespaces to workspaces, a JSON object")
    url: Url = env(
        "SEGMENT_BATCH_API",
        "https://api.segment.io/v1/batch",
        "URL of Segment's batch endpoint",
        pattern=_URL,
    )
    attempts: int = env("SEGMENT_RETRIES", 3, "number of attempts to send a batch; 0 means one", ge=0)
    retry_budget_seconds: float = env(
        "SEGMENT_RETRY_BUDGET_SECONDS",
        120.0,
        "time after which a batch is not retried; it also limits Retry-After",
        ge=0,
    )
    timeout_seconds: float = env("SEGMENT_TIMEOUT_SECONDS", 30.0, "deadline of one attempt", gt=0)
    netrc: str = env(
        "CURL_NETRC",
        "~/.netrc",
        (
            "netrc file with the logins for the hosts in the URLs; the login for Segment is the write key, "
            "with an empty password"
        ),
    )
    batch_bytes: int = env(
        "SEGMENT_BATCH_DATA_SIZE",
        500_000,
        "largest batch including its envelope; values above 500000 are reduced to that, Segment's limit",
        ge=64,
    )
    concurrency: int = env("SEGMENT_CONCURRENCY", 4, "number of batches that are sent at once", ge=1, le=64)
    gzip: bool = env("SEGMENT_GZIP", False, "compress requests")
    ca_file: str = env(
        "SEGMENT_CA_FILE", "", "CA bundle that signs the certificate of your own Segment endpoint"
    )
    lost_share: float = env(
        "SEGMENT_LOST_SHARE",
        0.9,
        (
            "a run fails if it loses this share of its rows because no map contains their namespace or user; "
            "0: never"
        ),
        ge=0,
        le=1,
    )
    resend: bool = env(
        "SEGMENT_RESEND",
        False,
        (
            "send each event again in every run whose window contains it, as upstream does; Segment drops "
            "repeats"
        ),
    )


class BridgeSettings(Settings):
    """Settings of segment_bridge."""

    interval_seconds: float = env(
        "SEGMENT_INTERVAL_SECONDS", 3600.0, "time between the starts of two runs", gt=0
    )
    window_seconds: float = env(
        "SEGMENT_WINDOW_SECONDS",
        4 * 3600.0,
        (
            "length of a run's window, unless QUERY_EARLIEST_TIME is set; after failures it reaches back to "
            "the last successful run"
        ),
        gt=0,
    )
    max_window_seconds: float = env(
        "SEGMENT_MAX_WINDOW_SECONDS", 7 * 86_400.0, "largest length of the window", gt=0
    )
    retention_days: float = env(
        "SEGMENT_LEDGER_DAYS",
        30.0,
        "number of days for which the ledger and dead letters are kept",
        gt=0,
    )
    dead_letters: str = env(
        "SEGMENT_DEAD_LETTERS", "", "file to which dead letters are appended; empty: the table `dead_letters`"
    )
