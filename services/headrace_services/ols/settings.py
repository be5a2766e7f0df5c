"""The settings of ols beside ``olsconfig.yaml``."""

from headrace.runtime.settings import Settings, env

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class OlsSettings(Settings):
    """Settings of ols."""

    config_file: str = env(
        "OLS_CONFIG_FILE", "", "an `olsconfig.yaml` as upstream's service reads it; empty: no file is needed"
    )
    user_data_path: str = env(
        "OLS_USER_DATA_PATH",
        "",
        (
            "without a configuration file: the directory in which `feedback/`, `transcripts/` and `config/` "
            "are written; empty: nothing is stored"
        ),
    )
    authentication: str = env(
        "OLS_AUTHENTICATION",
        "",
        (
            "used if the configuration file has no `authentication_config.module`: `noop` (no authentication), "
            "`tokens` (those of OLS_TOKENS) or `k8s` (the cluster's users); unset: `noop` in the local shape, "
            "else `k8s` in a pod with a service account, else `tokens`"
        ),
        pattern="^(|noop|tokens|k8s)$",
    )
    # `tokens_of` reads it, because an error about a malformed value must not show the tokens.
    tokens: str = env(
        "OLS_TOKENS",
        "",
        "permitted clients: JSON object that maps the SHA-256 (hex) of a bearer token to a user id",
        repr=False,
    )
    llm_url: str = env(
        "OLS_LLM_URL",
        "",
        (
            "OpenAI-compatible endpoint without `/chat/completions`, used if the configuration file has no "
            "`llm_providers`; empty: the built-in responder"
        ),
    )
    llm_model: str = env("OLS_LLM_MODEL", "", "name of the model at that endpoint")
    llm_api_key: str = env("OLS_LLM_API_KEY", "", "API key for that endpoint", repr=False)
    llm_api_key_file: str = env("OLS_LLM_API_KEY_FILE", "", "file that contains the API key")
    llm_seconds: float = env(
        "OLS_LLM_SECONDS", 120.0, "deadline of one answer, including retries and streaming, seconds", gt=0
    )
    llm_idle_seconds: float = env(
        "OLS_LLM_IDLE_SECONDS", 60.0, "longest pause of the LLM within an answer, seconds", gt=0
    )
    llm_attempts: int = env(
        "OLS_LLM_ATTEMPTS", 3, "number of attempts if the LLM is away or busy", ge=1, le=10
    )
    max_conversations: int = env(
        "OLS_MAX_CONVERSATIONS",
        1000,
        "number of conversations that a process remembers; the least recently used is dropped",
        gt=0,
    )
    max_turns: int = env(
        "OLS_MAX_TURNS", 50, "number of questions that are remembered per conversation", gt=0
    )
    max_concurrent: int = env(
        "OLS_MAX_CONCURRENT",
        32,
        "number of requests that are handled at once; others wait, then get 503",
        gt=0,
    )
    max_body_bytes: int = env("OLS_MAX_BODY_BYTES", 8 << 20, "largest request body in bytes", gt=0)
    kubernetes_host: str = env("KUBERNETES_SERVICE_HOST", "", "set by Kubernetes: host of its API, for `k8s`")
    kubernetes_port: str = env("KUBERNETES_SERVICE_PORT", "443", "set by Kubernetes: port of its API")
    kubernetes_api: str = env("OLS_K8S_API", "", "URL of the Kubernetes API; empty: the cluster's own")
    kubernetes_token_file: str = env(
        "OLS_K8S_TOKEN_FILE",
        f"{_ACCOUNT}/token",
        "token with the right to create TokenReviews and SubjectAccessReviews",
    )
    kubernetes_ca_file: str = env("OLS_K8S_CA_FILE", f"{_ACCOUNT}/ca.crt", "CA bundle of the Kubernetes API")

    @property
    def kubernetes_url(self) -> str:
        """The URL of the Kubernetes API; empty if there is none."""
        if self.kubernetes_api or not self.kubernetes_host:
            return self.kubernetes_api
        host = f"[{self.kubernetes_host}]" if ":" in self.kubernetes_host else self.kubernetes_host
        return f"https://{host}:{self.kubernetes_port}"
