"""What an operator can set; upstream's names where upstream has them."""

from typing import Annotated, Final

from pydantic import AfterValidator

from headrace.runtime.settings import Settings, env

HOST_NAMESPACE: Final = "toolchain-host-operator"
_URL: Final = "^([a-zA-Z][a-zA-Z0-9+.-]*://)?[^/]+"


def _with_scheme(url: str) -> str:
    """As curl takes a URL without a scheme: HTTP."""
    scheme, named, rest = url.partition("://")
    if not named:
        return f"http://{url}"
    if scheme.lower() not in {"http", "https"}:
        raise ValueError("expected an http or https URL")
    return f"{scheme.lower()}://{rest}"


Url = Annotated[str, AfterValidator(_with_scheme)]


class MapSettings(Settings):
    """Where UserSignups and namespaces are read from. ``KUBECONFIG`` and a pod's service account count as usual."""

    kubeconfig: str = env(
        "KUBECONFIG_SRC",
        "",
        "kubeconfig by which UserSignups and namespaces are read; empty: KUBECONFIG, ~/.kube/config, the pod's own",
    )
    contexts: str = env(
        "CONTEXTS",
        "",
        "contexts whose namespaces are read, blanks between; a later one wins; empty: the current one",
    )
    host_context: str = env(
        "SEGMENT_HOST_CONTEXT", "", "context whose UserSignups are read; empty: the current one"
    )
    numeric_ids: bool = env(
        "SEGMENT_NUMERIC_IDS",
        False,
        "write the ids of the map as JSON numbers, as upstream does; Segment wants text",
    )


class SplunkSettings(Settings):
    """Splunk: where it is, what is searched, how long is tried."""

    url: Url = env("SPLUNK_API_URL", "https://splunk-api.corp.redhat.com:8089", "Splunk's API", pattern=_URL)
    app_name: str = env("SPLUNK_APP_NAME", "rh_rhtap", "app whose rights and lookups count", min_length=1)
    index: str = env("SPLUNK_INDEX", "federated:rh_rhtap_stage_audit", "index that is searched", min_length=1)
    earliest: str = env(
        "QUERY_EARLIEST_TIME", "-4hours", "begin of the window: relative (`-4hours`, `-1d@d`) or ISO 8601"
    )
    latest: str = env("QUERY_LATEST_TIME", "-0hours", "end of the window, likewise")
    retries: int = env("SPLUNK_RETRIES", 3, "how often a query is tried again", ge=0)
    retry_budget_seconds: float = env(
        "SPLUNK_RETRY_BUDGET_SECONDS", 300.0, "no query is tried again after so long", ge=0
    )
    query_seconds: float = env("SPLUNK_QUERY_SECONDS", 3600.0, "deadline of one attempt of a query", gt=0)
    idle_seconds: float = env(
        "SPLUNK_IDLE_SECONDS", 600.0, "how long an answer may stand still before it counts as lost", gt=0
    )
    netrc: str = env(
        "CURL_NETRC",
        "~/.netrc",
        "netrc file with the logins for the machines in the URLs; Segment's is the write key, with an empty password",
    )
    ca_file: str = env("SPLUNK_CA_FILE", "", "CA bundle that signs Splunk's certificate; empty: the system's")
    insecure: bool = env(
        "SPLUNK_INSECURE", False, "take any certificate, as for a Splunk container with its self-signed one"
    )
    collection: str = env(
        "SPLUNK_UID_MAP_COLLECTION",
        "segment_uid_map",
        "KV store collection (and lookup) that the map of user ids is uploaded to; the workspaces' is below",
        pattern="^[A-Za-z][A-Za-z0-9_]*$",
    )
    workspace_collection: str = env(
        "SPLUNK_WS_MAP_COLLECTION",
        "segment_ws_map",
        "KV store collection (and lookup) that the map of workspaces is uploaded to",
        pattern="^[A-Za-z][A-Za-z0-9_]*$",
    )


class SegmentSettings(Settings):
    """The way from records to Segment."""

    uid_map_file: str = env("UID_MAP_FILE", "", "file with the map of user names to ids, a JSON object")
    ws_map_file: str = env("WS_MAP_FILE", "", "file with the map of namespaces to workspaces, a JSON object")
    url: Url = env(
        "SEGMENT_BATCH_API", "https://api.segment.io/v1/batch", "Segment's batch call", pattern=_URL
    )
    attempts: int = env(
        "SEGMENT_RETRIES", 3, "how often a batch is sent before it is given up; 0 is once, as 1", ge=0
    )
    retry_budget_seconds: float = env(
        "SEGMENT_RETRY_BUDGET_SECONDS",
        120.0,
        "a batch is not tried again after so long; Retry-After counts up to it",
        ge=0,
    )
    timeout_seconds: float = env("SEGMENT_TIMEOUT_SECONDS", 30.0, "deadline of one attempt", gt=0)
    netrc: str = env(
        "CURL_NETRC",
        "~/.netrc",
        "netrc file; the login for Segment's machine is the write key, its password empty",
    )
    batch_bytes: int = env(
        "SEGMENT_BATCH_DATA_SIZE",
        500_000,
        "largest batch, envelope included; what is above 500000 counts as that, since Segment refuses more",
        ge=64,
    )
    concurrency: int = env("SEGMENT_CONCURRENCY", 4, "batches under way at a time", ge=1, le=64)
    gzip: bool = env("SEGMENT_GZIP", False, "compress requests")
    ca_file: str = env(
        "SEGMENT_CA_FILE", "", "CA bundle that signs the certificate of a Segment of one's own"
    )
    lost_share: float = env(
        "SEGMENT_LOST_SHARE",
        0.9,
        "a run that loses this share of its rows, since no map knows their namespace or user, has failed; 0: none has",
        ge=0,
        le=1,
    )
    resend: bool = env(
        "SEGMENT_RESEND",
        False,
        "send each event again in every run whose window has it, as upstream does; Segment drops repeats",
    )


class BridgeSettings(Settings):
    """The service."""

    interval_seconds: float = env(
        "SEGMENT_INTERVAL_SECONDS", 3600.0, "from one run's begin to the next", gt=0
    )
    window_seconds: float = env(
        "SEGMENT_WINDOW_SECONDS",
        4 * 3600.0,
        "how far back a run looks, unless QUERY_EARLIEST_TIME says it; after failures, as far as the last good run",
        gt=0,
    )
    max_window_seconds: float = env(
        "SEGMENT_MAX_WINDOW_SECONDS", 7 * 86_400.0, "but no further back than this", gt=0
    )
    retention_days: float = env(
        "SEGMENT_LEDGER_DAYS",
        30.0,
        "how long the ledger knows what was sent, and dead letters are kept",
        gt=0,
    )
    dead_letters: str = env(
        "SEGMENT_DEAD_LETTERS", "", "file that dead letters are added to; empty: the table `dead_letters`"
    )
