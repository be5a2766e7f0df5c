"""The settings of ols_collector; field names are the keys of ``user_data_collector_config``."""

from typing import Final

from headrace.runtime.settings import Settings, env

USER_AGENT: Final = "openshift-lightspeed-operator/user-data-collection cluster/{cluster_id}"


class OlsCollectorSettings(Settings):
    """Settings of the collector. A variable takes precedence over its key in ``olsconfig.yaml``."""

    config_file: str = env(
        "OLS_CONFIG_FILE",
        "",
        "an `olsconfig.yaml`, whose `user_data_collector_config` contains the keys of this page",
    )
    data_storage: str = env(
        "OLS_USER_DATA_PATH", "", "directory that contains `feedback/`, `transcripts/` and `config/`"
    )
    log_level: str = env(
        "LOG_LEVEL", "info", "`debug`, `info`, `warning`, `error` or `critical`, in any case"
    )
    collection_interval: float = env(
        "OLS_USER_DATA_COLLECTION_INTERVAL",
        7200.0,
        "seconds from the start of one cycle to the start of the next; 0: only one cycle (local shape: 5)",
        ge=0,
    )
    retry_interval: float = env(
        "OLS_COLLECTOR_RETRY_INTERVAL",
        0.0,
        "seconds from the end of a failed cycle to the next; 0: `collection_interval`",
        ge=0,
    )
    run_without_initial_wait: bool = env(
        "RUN_WITHOUT_INITIAL_WAIT", False, "start without the initial wait (default in the local shape)"
    )
    initial_wait: float = env("OLS_COLLECTOR_INITIAL_WAIT", 300.0, "seconds before the first cycle", ge=0)
    ingress_env: str = env("INGRESS_ENV", "prod", "`prod` or `stage`; selects the default URLs")
    cp_offline_token: str = env(
        "CP_OFFLINE_TOKEN", "", "offline token, which is exchanged at the SSO for an access token", repr=False
    )
    cp_offline_token_is_direct: bool = env(
        "OLS_COLLECTOR_CP_OFFLINE_TOKEN_IS_DIRECT",
        False,
        "send `cp_offline_token` unchanged, as collectors from September 2025 on did",
    )
    ingress_timeout: float = env(
        "OLS_COLLECTOR_INGRESS_TIMEOUT",
        30.0,
        "seconds without progress after which an upload fails, and deadline of its answer",
        gt=0,
    )
    ingress_base_delay: float = env(
        "OLS_COLLECTOR_INGRESS_BASE_DELAY",
        60.0,
        "seconds; the wait after failed attempt n is random between 0 and this times 2^n",
        ge=0,
    )
    ingress_max_retries: int = env(
        "OLS_COLLECTOR_INGRESS_MAX_RETRIES", 3, "number of attempts per cycle", ge=1
    )
    ingress_retry_budget: float = env(
        "OLS_COLLECTOR_INGRESS_RETRY_BUDGET", 900.0, "seconds after which an archive is not retried", ge=0
    )
    access_token_generation_timeout: float = env(
        "OLS_COLLECTOR_ACCESS_TOKEN_GENERATION_TIMEOUT",
        5.0,
        "deadline in seconds for a token from the SSO",
        gt=0,
    )
    user_agent: str = env("OLS_COLLECTOR_USER_AGENT", USER_AGENT, "User-Agent; must contain `{cluster_id}`")
    generation: int = env(
        "OLS_COLLECTOR_GENERATION",
        2,
        (
            "1: marked archives, sent as `openshift`; 2: sent as `ols`; 3: like the exporter, files at any "
            "depth"
        ),
        ge=1,
        le=3,
    )
    service_id: str = env("OLS_COLLECTOR_SERVICE_ID", "ols", "service in generation 3's content type")
    allowed_subdirs: tuple[str, ...] = env(
        "OLS_COLLECTOR_ALLOWED_SUBDIRS",
        (),
        "JSON list of the top-level directories that generation 3 collects; empty: all",
    )
    disabled_kinds: tuple[str, ...] = env(
        "OLS_COLLECTOR_DISABLED_KINDS",
        (),
        (
            "JSON list of `feedback`, `transcripts`, `config` that are not sent; by default the kinds that "
            "`ols_config.user_data_collection` of the same file disables"
        ),
    )
    storage_limit_bytes: int = env(
        "OLS_COLLECTOR_STORAGE_LIMIT_BYTES",
        0,
        "data beyond this size is deleted, oldest first, sent or not; 0: 100 MiB, in generation 3 200 MiB",
        ge=0,
    )
    cleanup_after_send: bool = env(
        "OLS_COLLECTOR_CLEANUP_AFTER_SEND", True, "false: keep files after they were sent"
    )
    cluster_id: str = env(
        "OLS_COLLECTOR_CLUSTER_ID",
        "",
        "id of the sending cluster; by default read from the cluster's API (local shape: a fixed id)",
    )
    pull_secret_file: str = env(
        "OLS_COLLECTOR_PULL_SECRET_FILE", "", "docker config JSON that replaces the cluster's pull secret"
    )
    auth_token: str = env(
        "INGRESS_SERVER_AUTH_TOKEN",
        "",
        "token that is sent unchanged; takes precedence over all others",
        repr=False,
    )
    client_id: str = env("CLIENT_ID", "", "id of a service account at the SSO")
    client_secret: str = env("CLIENT_SECRET", "", "secret of the service account", repr=False)
    ingress_url: str = env("INGRESS_URL", "", "upload URL; by default that of `ingress_env`")
    sso_url: str = env("OLS_COLLECTOR_SSO_URL", "", "token endpoint; by default that of `ingress_env`")
    accounts_url: str = env(
        "OLS_COLLECTOR_ACCOUNTS_URL",
        "https://api.openshift.com/api/accounts_mgmt/v1/access_token",
        "endpoint that gives a service account the token for ingress",
    )
