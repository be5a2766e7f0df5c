"""The contents of the files. Source: openshift/lightspeed-service (feedback.py, ols.py, config_status.py)."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit

from headrace_services.ols.bodies import Attachment, FeedbackRequest, LLMRequest
from headrace_services.ols.olsconfig import Configuration
from headrace_services.ols.secrets_in_yaml import redact_yaml

_BACKEND: Final = "lightspeed-service"


def feedback(user_id: str, sent: FeedbackRequest, now: datetime) -> dict[str, Any]:
    """Return a user's feedback. Its time is UTC without a zone and with a blank, unlike in transcripts."""
    return {
        "user_id": user_id,
        "timestamp": str(now.astimezone(UTC).replace(tzinfo=None)),
        "conversation_id": sent.conversation_id,
        "user_question": sent.user_question,
        "llm_response": sent.llm_response,
        "sentiment": sent.sentiment,
        "user_feedback": sent.user_feedback,
    }


def transcript(
    *,
    user_id: str,
    conversation_id: str,
    provider: str,
    model: str,
    sent: LLMRequest,
    query: str,
    answer: str,
    truncated: bool,
    attachments: Iterable[Attachment],
    now: datetime,
) -> dict[str, Any]:
    """Return one turn; ``query`` and ``attachments`` are redacted. There are no documents and no tool calls."""
    return {
        "metadata": {
            "provider": provider,
            "model": model,
            "user_id": user_id,
            "conversation_id": conversation_id,
            "mode": sent.mode.value,
            "timestamp": now.astimezone(UTC).isoformat(),
        },
        "redacted_query": query,
        "llm_response": answer,
        "rag_chunks": [],
        "truncated": truncated,
        "tool_calls": [],
        "attachments": [attachment.model_dump() for attachment in attachments],
    }


def captured(configuration: Configuration, now: datetime) -> dict[str, Any]:
    """Return the configuration's text without its secrets."""
    return {
        "metadata": {
            "timestamp": now.astimezone(UTC).isoformat(),
            "service_version": version("headrace"),
            "config_file_path": configuration.path,
            "backend": _BACKEND,
        },
        "configuration": redact_yaml(configuration.text, configuration.keys.values()),
    }


def status(configuration: Configuration, now: datetime) -> dict[str, Any]:
    """Return the features in use."""
    ols = _mapping(configuration.document.get("ols_config"))
    quota = _mapping(ols.get("quota_handlers"))
    indexes = [_mapping(item) for item in _list(_mapping(ols.get("reference_content")).get("indexes"))]
    given = [_mapping(item) for item in _list(configuration.document.get("llm_providers"))]
    types: dict[str, list[str]] = {}
    for name, provider in configuration.providers.items():
        types.setdefault(provider.type, []).append(name)
    return {
        "timestamp": now.astimezone(UTC).isoformat(),
        "providers": types,
        "models": {
            name: [model.name for model in provider.models]
            for name, provider in configuration.providers.items()
        },
        "rag_indexes": [
            str(item["product_docs_index_id"]) for item in indexes if item.get("product_docs_index_id")
        ],
        "query_redactor_enabled": bool(configuration.filters),
        "query_filter_count": len(configuration.filters),
        "providers_with_tls_config": [
            str(item.get("name"))
            for item in given
            if _mapping(item.get("tlsSecurityProfile") or item.get("tls_security_profile")).get("type")
        ],
        "mcp_servers": _mcp_servers(configuration.document.get("mcp_servers")),
        "quota_management_enabled": bool(quota.get("limiters")),
        "token_history_enabled": quota.get("enable_token_history") is True,
        "proxy_enabled": bool(_mapping(ols.get("proxy_config")).get("proxy_url")),
    }


def _mcp_servers(given: Any) -> dict[str, str]:
    listed = _list(given.get("servers") if isinstance(given, Mapping) else given)
    servers = [_mapping(item) for item in listed]
    return {
        str(item["name"]): urlsplit(str(item.get("url", ""))).scheme for item in servers if "name" in item
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
