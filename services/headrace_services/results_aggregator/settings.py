"""Settings of the results aggregator: upstream's names for what has a meaning here, and a few of ours."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headrace.rules import SHIPPED_PACK
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import Settings, env, environment_name, is_set, load

_PREFIX: Final = "INSIGHTS_RESULTS_AGGREGATOR__"
_FILE: Final = "INSIGHTS_RESULTS_AGGREGATOR_CONFIG_FILE"

_KAFKA: Final = "HEADRACE_KAFKA and its siblings name the brokers"
_POSTGRES: Final = (
    "HEADRACE_POSTGRES names the server; both kinds of recommendations share one database on it"
)
_TOPICS: Final = "the topics and the group are those of docs/configuration.md"
_REDIS: Final = "everything is kept in PostgreSQL"
_LOGS: Final = "logs go to stdout; HEADRACE_LOG_LEVEL sets their level, a collector ships them"
_STORAGE: Final = dict.fromkeys(
    [
        "db_driver",
        "pg_username",
        "pg_password",
        "pg_host",
        "pg_port",
        "pg_db_name",
        "pg_params",
        "log_sql_queries",
        "type",
    ],
    _POSTGRES,
)
# Upstream's keys that are accepted and do nothing here, and why.
_IDLE: Final[dict[str, dict[str, str]]] = {
    "broker": {
        "address": _KAFKA,
        "addresses": _KAFKA,
        "security_protocol": _KAFKA,
        "cert_path": _KAFKA,
        "sasl_mechanism": _KAFKA,
        "sasl_username": _KAFKA,
        "sasl_password": _KAFKA,
        "client_id": _KAFKA,
        "timeout": "every wait for Kafka has a deadline of its own",
        "topic": _TOPICS,
        "group": _TOPICS,
        "payload_tracker_topic": _TOPICS,
        "dead_letter_queue_topic": "dead letters go to the topic's own `.dlq`",
        "service_name": "statuses name the service results-aggregator",
        "enabled": "the service always consumes",
        "display_message_with_wrong_structure": "messages are never logged; the dead-letter topic has them",
    },
    "server": {
        "api_prefix": "both of upstream's prefixes are served",
        "api_spec_file": "the specification is part of the service",
    },
    "ocp_recommendations_storage": _STORAGE,
    "dvo_recommendations_storage": _STORAGE,
    "storage_backend": {"use": "both kinds of recommendations are kept"},
    "redis": dict.fromkeys(["database", "endpoint", "password", "timeout_seconds"], _REDIS),
    "content": {"path": "rule content is read from the installed rules packages"},
    "logging": dict.fromkeys(["debug", "log_level", "logging_to_cloud_watch_enabled"], _LOGS),
    "cloudwatch": dict.fromkeys(
        [
            "aws_access_id",
            "aws_secret_key",
            "aws_session_token",
            "aws_region",
            "log_group",
            "stream_name",
            "debug",
            "create_stream_if_not_exists",
        ],
        _LOGS,
    ),
}
WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    f"{_PREFIX}{section}__{key}".upper(): reason
    for section, keys in _IDLE.items()
    for key, reason in keys.items()
}


class AggregatorSettings(Settings):
    """Settings of the results aggregator; each of upstream's may stand in upstream's TOML file instead."""

    address: str = env(
        "INSIGHTS_RESULTS_AGGREGATOR__SERVER__ADDRESS",
        "",
        "`:port` to listen on, unless `RESULTS_AGGREGATOR_PORT` is set; the address is `HEADRACE_HOST`",
        pattern=r"^$|^[\w.\-\[\]:]*:\d{1,5}$",
    )
    debug: bool = env(
        "INSIGHTS_RESULTS_AGGREGATOR__SERVER__DEBUG",
        False,
        "serve the debug endpoints, some of which delete data",
    )
    auth: bool = env("INSIGHTS_RESULTS_AGGREGATOR__SERVER__AUTH", True, "require and check an identity")
    auth_type: str = env(
        "INSIGHTS_RESULTS_AGGREGATOR__SERVER__AUTH_TYPE",
        "xrh",
        "`xrh`: the identity is in the header `x-rh-identity`",
        pattern="^xrh$",
    )
    maximum_feedback_message_length: int = env(
        "INSIGHTS_RESULTS_AGGREGATOR__SERVER__MAXIMUM_FEEDBACK_MESSAGE_LENGTH",
        255,
        "longest feedback or justification, bytes",
        gt=0,
    )
    org_overview_limit_hours: int = env(
        "INSIGHTS_RESULTS_AGGREGATOR__SERVER__ORG_OVERVIEW_LIMIT_HOURS",
        2,
        "hours after which an unreported cluster is left out of its organisation's list",
        gt=0,
    )
    enable_org_allowlist: bool = env(
        "INSIGHTS_RESULTS_AGGREGATOR__BROKER__ENABLE_ORG_ALLOWLIST",
        False,
        "store only reports of organisations in the allowlist",
    )
    org_allowlist_file: str = env(
        "INSIGHTS_RESULTS_AGGREGATOR__PROCESSING__ORG_ALLOWLIST_FILE",
        "org_allowlist.csv",
        "file with the allowlist: organisation ids, separated by commas or line ends",
    )
    metrics_namespace: str = env(
        "INSIGHTS_RESULTS_AGGREGATOR__METRICS__NAMESPACE",
        "",
        "prefix of upstream's metric names, followed by `_`",
        pattern=r"^([a-zA-Z_][a-zA-Z0-9_]*)?$",
    )
    retention_days: int = env(
        "RESULTS_AGGREGATOR_RETENTION_DAYS",
        61,
        (
            "days since the last check after which a report is deleted, and days after which message errors "
            "are; 0 keeps all"
        ),
        ge=0,
    )
    packages: tuple[str, ...] = env(
        "RULES_ENGINE_PACKAGES",
        (SHIPPED_PACK,),
        "JSON list of the rules packages whose content is served; EXTRA_PACKAGES (comma-separated) adds to it",
    )
    extra_packages: str = env(
        "EXTRA_PACKAGES", "", "further rules packages, separated by commas, as rules_engine loads them"
    )
    dvo_topic: str = env(
        "RESULTS_AGGREGATOR_DVO_TOPIC",
        "",
        "topic of the recommendations for workloads; empty: `ccx.dvo.results`; `none` switches them off",
    )

    @property
    def content_packages(self) -> tuple[str, ...]:
        """Every rules package whose content is served."""
        extra = (name.strip() for name in self.extra_packages.split(","))
        return (*self.packages, *(name for name in extra if name))

    @property
    def port(self) -> int | None:
        """The address' port; None: the service's own variable or default."""
        if not self.address or is_set("RESULTS_AGGREGATOR_PORT"):
            return None
        return int(self.address.rpartition(":")[2])


def load_settings() -> tuple[AggregatorSettings, dict[str, str]]:
    """From the environment, then from the TOML file; also the names found that have no effect, and why."""
    path = os.environ.get(_FILE, "")
    file = _read(Path(path)) if path else {}
    known = {environment_name(AggregatorSettings, name) for name in AggregatorSettings.model_fields}
    settings = load(
        AggregatorSettings, **{name: file[name] for name in known & file.keys() if not is_set(name)}
    )
    named = {name for name in os.environ if name.startswith(_PREFIX) and is_set(name)} | file.keys()
    unknown = "there is no such setting"
    return settings, {name: WITHOUT_EFFECT.get(name, unknown) for name in sorted(named - known)}


def _read(path: Path) -> dict[str, Any]:
    """The file's keys under the names of their environment variables."""
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{_FILE}: cannot read {path}: {error}") from error
    return {
        f"{_PREFIX}{section}__{key}".upper(): value
        for section, keys in sections.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
        if value != ""
    }


def read_allowlist(settings: AggregatorSettings) -> frozenset[int] | None:
    """The organisations whose reports are stored; None: all. Raises `ConfigurationError`."""
    if not settings.enable_org_allowlist:
        return None
    path = Path(settings.org_allowlist_file)
    try:
        words = re.split(r"[,\s]+", path.read_text(encoding="utf-8"))
        return frozenset(int(word) for word in words if word)
    except (OSError, ValueError) as error:
        name = environment_name(AggregatorSettings, "org_allowlist_file")
        raise ConfigurationError(f"{name}: cannot read {path}: {error}") from error
