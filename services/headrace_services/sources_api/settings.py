"""The settings of sources_api."""

from typing import Final

from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.runtime.settings import Settings, env

# Upstream's variables that have no effect here.
WITHOUT_EFFECT: Final = {
    **{
        f"DATABASE_{name}": "HEADRACE_POSTGRES says where PostgreSQL is"
        for name in ("HOST", "PORT", "USER", "PASSWORD", "NAME")
    },
    "QUEUE_HOST": "HEADRACE_KAFKA says where Kafka is",
    "QUEUE_PORT": "HEADRACE_KAFKA says where Kafka is",
    "REDIS_CACHE_HOST": "there is no cache",
    "REDIS_CACHE_PORT": "there is no cache",
    "SECRET_STORE": "passwords are kept in the database",
    "PORT": "SOURCES_API_PORT moves the listener",
    "LOG_LEVEL": "HEADRACE_LOG_LEVEL sets the process' level",
}


class SourcesSettings(Settings):
    """Settings of the Sources API."""

    psks: str = env(
        "SOURCES_PSKS",
        "",
        (
            "keys, comma-separated, with which the platform's services may act for any organisation (header "
            "`x-rh-sources-psk`)"
        ),
        repr=False,
    )
    bypass_rbac: bool = env(
        "BYPASS_RBAC",
        False,
        (
            "let everyone change sources, and trust `x-rh-sources-org-id` without a key; the local shape does "
            "this"
        ),
    )
    rbac_host: str = env(
        "RBAC_HOST",
        "",
        (
            "URL of the RBAC service, which is asked for `sources:*:*` before a change; empty: an identity is "
            "sufficient"
        ),
    )
    default_org_id: str = env(
        "SOURCES_DEFAULT_ORG_ID",
        LOCAL_ORG_ID,
        (
            "organisation of requests without identity, in the local shape only; elsewhere they are answered "
            "401"
        ),
    )
    encryption_key: str = env(
        "ENCRYPTION_KEY",
        "",
        (
            "key with which PostgreSQL's pgcrypto encrypts passwords of authentications; empty: they are "
            "stored in plain text"
        ),
        repr=False,
    )
    max_body_bytes: int = env("SOURCES_MAX_BODY_BYTES", 512 * 1024, "largest request body in bytes", gt=0)
