"""Metrics of ols, under upstream's names."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from headrace.runtime.metrics import REGISTRY

CALLS: Final = Counter("ols_rest_api_calls", "REST API requests", ["path", "status_code"], registry=REGISTRY)
SECONDS: Final = Histogram(
    "ols_response_duration_seconds",
    "Time from a request to the end of its answer",
    ["path"],
    registry=REGISTRY,
)
LLM_CALLS: Final = Counter("ols_llm_calls", "Requests to LLMs", ["provider", "model"], registry=REGISTRY)
LLM_FAILURES: Final = Counter("ols_llm_calls_failures", "Failed requests to LLMs", registry=REGISTRY)
TOKENS_SENT: Final = Counter(
    "ols_llm_token_sent", "Tokens sent to LLMs", ["provider", "model"], registry=REGISTRY
)
TOKENS_RECEIVED: Final = Counter(
    "ols_llm_token_received", "Tokens received from LLMs", ["provider", "model"], registry=REGISTRY
)
CONFIGURED: Final = Gauge(
    "ols_provider_model_configuration",
    "Configured models; 1 is the default one",
    ["provider", "model"],
    registry=REGISTRY,
)
# Headrace's own. The outcomes are stored and failed; if failed rises, the disk is full or not writable.
USER_DATA: Final = Counter("ols_user_data", "Files written", ["kind", "outcome"], registry=REGISTRY)
CONVERSATIONS: Final = Gauge("ols_conversations", "Conversations remembered", registry=REGISTRY)
