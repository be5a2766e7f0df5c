"""What an operator can set; upstream's names where upstream has them."""

from typing import Final

from headrace.runtime.settings import Settings, env

HOST_NAMESPACE: Final = "toolchain-host-operator"


class MapSettings(Settings):
    """Where UserSignups and namespaces are read from. ``KUBECONFIG`` and a pod's service account count as usual."""

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

    url: str = env(
        "SPLUNK_API_URL", "https://splunk-api.corp.redhat.com:8089", "Splunk's API", pattern="^https?://[^/]+"
    )
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
    netrc: str = env("CURL_NETRC", "~/.netrc", "netrc file with a login for the machine in the URL")
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
