"""What an operator can set beside ``olsconfig.yaml``."""

from headrace.runtime.settings import Settings, env

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class OlsSettings(Settings):
    """Settings of ols."""

    config_file: str = env(
        "OLS_CONFIG_FILE", "", "`olsconfig.yaml` as upstream's service reads it; empty: none is needed"
    )
    user_data_path: str = env(
        "OLS_USER_DATA_PATH",
        "",
        "without a configuration file: directory whose `feedback/`, `transcripts/` and `config/` are written; "
        "empty: nothing is kept",
    )
    authentication: str = env(
        "OLS_AUTHENTICATION",
        "",
        "where the configuration file names no `authentication_config.module`: `noop` (nobody is asked), `tokens` "
        "(those of OLS_TOKENS) or `k8s` (the cluster's users); unset: `noop` in the local shape, else `k8s` in a "
        "pod with a service account, else `tokens`",
        pattern="^(|noop|tokens|k8s)$",
    )
    # Read by `tokens_of`: a value of a wrong shape may hold the tokens themselves, and must not be shown.
    tokens: str = env(
        "OLS_TOKENS",
        "",
        "who may ask: JSON object, SHA-256 (hex) of a bearer token to a user id",
        repr=False,
    )
    llm_url: str = env(
        "OLS_LLM_URL",
        "",
        "OpenAI-compatible endpoint, up to and without `/chat/completions`, where the configuration file has no "
        "`llm_providers`; empty: the built-in responder",
    )
    llm_model: str = env("OLS_LLM_MODEL", "", "name of the model there")
    llm_api_key: str = env("OLS_LLM_API_KEY", "", "its API key", repr=False)
    llm_api_key_file: str = env("OLS_LLM_API_KEY_FILE", "", "file with its API key")
    llm_seconds: float = env(
        "OLS_LLM_SECONDS", 120.0, "deadline of one answer, attempts and streaming included, seconds", gt=0
    )
    llm_idle_seconds: float = env(
        "OLS_LLM_IDLE_SECONDS", 60.0, "longest silence of an LLM within an answer, seconds", gt=0
    )
    llm_attempts: int = env(
        "OLS_LLM_ATTEMPTS", 3, "times that an LLM is asked which is away or busy", ge=1, le=10
    )
    max_conversations: int = env(
        "OLS_MAX_CONVERSATIONS", 1000, "conversations remembered by a process; the longest unused goes", gt=0
    )
    max_turns: int = env("OLS_MAX_TURNS", 50, "questions remembered of one conversation", gt=0)
    max_concurrent: int = env(
        "OLS_MAX_CONCURRENT", 32, "requests worked on at once; more wait, then get 503", gt=0
    )
    max_body_bytes: int = env("OLS_MAX_BODY_BYTES", 8 << 20, "largest request body, bytes", gt=0)
    kubernetes_host: str = env("KUBERNETES_SERVICE_HOST", "", "set by Kubernetes: its API, for `k8s`")
    kubernetes_port: str = env("KUBERNETES_SERVICE_PORT", "443", "set by Kubernetes")
    kubernetes_api: str = env("OLS_K8S_API", "", "URL of the Kubernetes API; empty: that of the cluster")
    kubernetes_token_file: str = env(
        "OLS_K8S_TOKEN_FILE", f"{_ACCOUNT}/token", "token that may review others' tokens and access"
    )
    kubernetes_ca_file: str = env("OLS_K8S_CA_FILE", f"{_ACCOUNT}/ca.crt", "CA bundle of the Kubernetes API")

    @property
    def kubernetes_url(self) -> str:
        """The Kubernetes API; empty where there is none."""
        if self.kubernetes_api or not self.kubernetes_host:
            return self.kubernetes_api
        host = f"[{self.kubernetes_host}]" if ":" in self.kubernetes_host else self.kubernetes_host
        return f"https://{host}:{self.kubernetes_port}"
