"""Builds a checked plan from ``olsconfig.yaml`` and the environment."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from pydantic import TypeAdapter, ValidationError

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import ProcessSettings, environment_name, is_set, load
from headrace_services.ols_collector.plan import CLUSTER_ID_PLACE, Plan
from headrace_services.ols_collector.settings import OlsCollectorSettings

SECTION: Final = "user_data_collector_config"
# The keys of the exporter's own file, and the corresponding settings.
EXPORTER: Final = {
    "data_dir": "data_storage",
    "service_id": "service_id",
    "ingress_server_url": "ingress_url",
    "ingress_server_auth_token": "auth_token",
    "identity_id": "cluster_id",
    "collection_interval": "collection_interval",
    "cleanup_after_send": "cleanup_after_send",
    "ingress_connection_timeout": "ingress_timeout",
    "allowed_subdirs": "allowed_subdirs",
    "log_level": "log_level",
    "retry_interval": "retry_interval",
}
_EXPORTERS_GENERATION: Final = 3
LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
# The cluster of the local shape; any UUID works.
LOCAL_CLUSTER_ID: Final = "10ca1000-0000-4000-8000-000000000001"
_LOCAL: Final = {
    "run_without_initial_wait": True,
    "collection_interval": 5.0,
    "cluster_id": LOCAL_CLUSTER_ID,
}
_FLAG: Final = TypeAdapter(bool)
_ENVIRONMENTS: Final = {"prod": "", "stage": ".stage"}
_CLUSTER_ID: Final = re.compile(r"[!-~]{1,200}")
_SERVICE_ID: Final = re.compile(r"[a-z0-9-]+")
_STORAGES: Final = {
    "feedback": ("feedback_disabled", "feedback_storage"),
    "transcripts": ("transcripts_disabled", "transcripts_storage"),
    "config": ("config_disabled", "config_storage"),
}


def read_settings(config: Path | None = None) -> OlsCollectorSettings:
    """Return the settings of the environment, completed from a file; raises `ConfigurationError`."""
    if config is None and not is_set("OLS_CONFIG_FILE"):
        return load(OlsCollectorSettings)
    path = config or Path(load(OlsCollectorSettings).config_file)
    keys = _keys(_document(path), str(path))
    silent = {
        name: value
        for name, value in keys.items()
        if not is_set(environment_name(OlsCollectorSettings, name))
    }
    try:
        return load(OlsCollectorSettings, **silent)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        # The parser's message quotes the line, which may contain a token.
        raise ConfigurationError(f"{path}: it is not YAML") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: expected a mapping with {SECTION}")
    return document


def _exporters_keys(document: Mapping[str, Any], path: str) -> dict[str, Any]:
    if unknown := sorted(str(key) for key in document if key not in EXPORTER):
        raise ConfigurationError(
            f"{path}: the unknown key{'s' if len(unknown) > 1 else ''} {', '.join(unknown)};"
            f" expected {SECTION} or, of an exporter's file, some of {', '.join(EXPORTER)}"
        )
    given = {EXPORTER[key]: (key, value) for key, value in document.items() if value is not None}
    keys = {name: _plain(name, value, path, key) for name, (key, value) in given.items()}
    return {"generation": _EXPORTERS_GENERATION} | keys


def _keys(document: Mapping[str, Any], path: str) -> dict[str, Any]:
    if document and not document.keys() & {SECTION, "ols_config"}:
        return _exporters_keys(document, path)
    if lost := [key for key in EXPORTER if key in document]:
        raise ConfigurationError(
            f"{path}: {', '.join(lost)} beside {' and '.join(sorted(document.keys() & {SECTION, 'ols_config'}))};"
            f" expected an exporter's file, or its settings in {SECTION}"
        )
    section = document.get(SECTION) or {}
    if not isinstance(section, dict):
        raise ConfigurationError(f"{path}: {SECTION} is not a mapping")
    known = [name for name in OlsCollectorSettings.model_fields if name != "config_file"]
    if unknown := sorted(str(key) for key in section if key not in known):
        raise ConfigurationError(
            f"{path}: {SECTION} has the unknown key {unknown[0]!r}; expected some of {', '.join(known)}"
        )
    keys = {name: _plain(name, value, path, name) for name, value in section.items() if value is not None}
    if "data_storage" not in keys and (root := _common_root(document, path)):
        keys["data_storage"] = root
    if collection := _user_data_collection(document):
        keys.setdefault("disabled_kinds", _disabled(collection, path))
    return keys


def _plain(name: str, value: Any, path: str, key: str) -> Any:
    """Accept numbers as texts; an error does not show the value, which may be a secret.

    ``key`` is the name in the file.
    """
    field = OlsCollectorSettings.model_fields[name]
    if field.annotation is not str or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{path}: {key} is not text")
    return str(value)


def _user_data_collection(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the section of the service's data in the same file; empty if there is none."""
    ols = document.get("ols_config")
    collection = ols.get("user_data_collection") if isinstance(ols, dict) else None
    return collection if isinstance(collection, dict) else {}


def _disabled(collection: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """Return the disabled kinds; a flag without a value, or a missing one, disables its kind."""
    found = []
    for name, (flag, _) in _STORAGES.items():
        value = collection.get(flag)
        try:
            if value is None or _FLAG.validate_python(value):
                found.append(name)
        except ValidationError:
            raise ConfigurationError(f"{path}: {flag} is {value!r}, expected true or false") from None
    return tuple(found)


def _common_root(document: Mapping[str, Any], path: str) -> str:
    """Return the common directory of the storages in the same file, ``""`` if there are none."""
    collection = _user_data_collection(document)
    disabled, roots = _disabled(collection, path), {}
    for name, (_, storage) in _STORAGES.items():
        place = collection.get(storage)
        if place and name not in disabled:
            if Path(str(place)).name != name:
                raise ConfigurationError(
                    f"{path}: {storage} is {place!r}; expected a directory named {name!r}"
                )
            roots[str(Path(str(place)).parent)] = storage
    if len(roots) > 1:
        raise ConfigurationError(
            f"{path}: {' and '.join(roots.values())} are not under the same directory: {', '.join(roots)}"
        )
    return next(iter(roots), "")


def plan_of(
    settings: OlsCollectorSettings,
    process: ProcessSettings,
    *,
    keep: bool = False,
    dry_run: bool = False,
    once: bool = False,
) -> Plan:
    """Check the settings together and build the plan, completed with the local shape's defaults."""
    if process.lenient:
        settings = _with_local_defaults(settings)
    _check(settings)
    between = _ENVIRONMENTS[settings.ingress_env]
    direct = settings.cp_offline_token if settings.cp_offline_token_is_direct else ""
    return Plan(
        data_storage=settings.data_storage,
        ingress_url=settings.ingress_url or f"https://console{between}.redhat.com/api/ingress/v1/upload",
        sso_url=settings.sso_url
        or f"https://sso{between}.redhat.com/auth/realms/redhat-external/protocol/openid-connect/token",
        accounts_url=settings.accounts_url,
        user_agent=settings.user_agent,
        generation=settings.generation,
        service_id=settings.service_id,
        log_level=settings.log_level.upper(),
        collection_interval=0.0 if once or dry_run else settings.collection_interval,
        retry_interval=settings.retry_interval,
        initial_wait=0.0 if settings.run_without_initial_wait or once or dry_run else settings.initial_wait,
        ingress_timeout=settings.ingress_timeout,
        ingress_base_delay=settings.ingress_base_delay,
        ingress_max_retries=settings.ingress_max_retries,
        ingress_retry_budget=settings.ingress_retry_budget,
        access_token_generation_timeout=settings.access_token_generation_timeout,
        stop_seconds=process.stop_seconds,
        storage_limit_bytes=settings.storage_limit_bytes,
        allowed_subdirs=settings.allowed_subdirs,
        disabled_kinds=settings.disabled_kinds,
        keep=keep or dry_run or not settings.cleanup_after_send,
        dry_run=dry_run,
        cluster_id=settings.cluster_id,
        pull_secret_file=settings.pull_secret_file,
        client_id=settings.client_id,
        auth_token=settings.auth_token or direct,
        cp_offline_token="" if direct else settings.cp_offline_token,
        client_secret=settings.client_secret,
    )


def check_data_storage(plan: Plan) -> None:
    """Raise `ConfigurationError` for the command if the directory is missing; a service waits for it."""
    if not plan.root.is_dir():
        raise ConfigurationError(f"data_storage: {plan.data_storage!r} is not an existing directory")


def _with_local_defaults(settings: OlsCollectorSettings) -> OlsCollectorSettings:
    said = settings.model_fields_set
    changes: dict[str, Any] = {name: value for name, value in _LOCAL.items() if name not in said}
    if "initial_wait" in said:
        changes.pop("run_without_initial_wait", None)
    if not said & {"auth_token", "cp_offline_token", "client_id", "pull_secret_file"}:
        changes["auth_token"] = "local"  # noqa: S105 -- what the local shape's ingress takes
    return settings.model_copy(update=changes)


def _check(settings: OlsCollectorSettings) -> None:
    """Raise `ConfigurationError` for the first violated rule."""
    for holds, reason in _rules(settings):
        if not holds:
            raise ConfigurationError(reason)


def _rules(its: OlsCollectorSettings) -> Iterator[tuple[bool, str]]:
    """Yield each rule with its error, which contains no value of a secret."""
    yield (
        its.log_level.lower() in LOG_LEVELS,
        f"log_level: {its.log_level!r} is not a log level; valid levels are {', '.join(LOG_LEVELS)}",
    )
    yield (
        its.ingress_env in _ENVIRONMENTS,
        f"ingress_env: got {its.ingress_env!r}, expected 'prod' or 'stage'",
    )
    token = its.cp_offline_token or its.auth_token or its.client_id
    yield its.ingress_env == "prod" or bool(token), "cp_offline_token is required in stage environment"
    yield (
        CLUSTER_ID_PLACE in its.user_agent,
        f"user_agent: got {its.user_agent!r}, expected it to contain {CLUSTER_ID_PLACE}",
    )
    yield its.user_agent.isascii() and its.user_agent.isprintable(), "user_agent: expected printable ASCII"
    yield (
        not its.cluster_id or _CLUSTER_ID.fullmatch(its.cluster_id) is not None,
        f"cluster_id: got {its.cluster_id!r}, expected printable ASCII without blanks",
    )
    yield (
        _SERVICE_ID.fullmatch(its.service_id) is not None,
        f"service_id: got {its.service_id!r}, expected lower-case letters, digits and -",
    )
    yield (
        set(its.disabled_kinds) <= _STORAGES.keys(),
        f"disabled_kinds: got {', '.join(its.disabled_kinds)}, expected some of {', '.join(_STORAGES)}",
    )
    yield bool(its.client_id) == bool(its.client_secret), "client_id, client_secret: expected both or none"
    yield (
        bool(its.data_storage),
        "data_storage is not set; expected the directory that holds feedback/, transcripts/ and config/",
    )
    for name in ("ingress_url", "sso_url", "accounts_url"):
        yield _is_url(getattr(its, name)), f"{name}: expected an http or https URL"


def _is_url(text: str) -> bool:
    """Return whether the text is a URL; an empty one means the default."""
    parts = urlsplit(text)
    return not text or (parts.scheme in {"http", "https"} and bool(parts.hostname))
