"""Reads a whole config.yaml: parses it, substitutes variables, and checks every key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from headrace.rules.evaluation.loading import RulesConfig
from headrace.runtime.errors import ConfigurationError
from headrace_services.rules_engine.config_yaml import components, names
from headrace_services.rules_engine.config_yaml.clowder import with_clowder
from headrace_services.rules_engine.config_yaml.plan import EngineForm, OutgoingForm, OwnClass, Pipeline
from headrace_services.rules_engine.config_yaml.section import Section, suggestion
from headrace_services.rules_engine.config_yaml.templates import retyped, substituted

_JSON: Final = "insights.formats._json.JsonFormat"
_TEXT: Final = "insights.formats.text.HumanReadableFormat"
_MAX_BYTES: Final = 1 << 20
_CONFIG_KEYS: Final = ("name", "enabled", "timeout", "metadata", "tags", "links")
_NOT_HERE: Final = {
    "SENTRY_ENABLED": "errors are not sent to Sentry; they are in the log and in headrace_attempt_failures",
    "LOGGING_TO_CW_ENABLED": "nothing is sent to CloudWatch; collect standard output instead",
}


def read_file(path: Path, variables: Mapping[str, str]) -> Pipeline:
    """Read a config.yaml.

    Raises:
        ConfigurationError: one line with the file's name and the first fault.
    """
    try:
        if path.is_file() and path.stat().st_size > _MAX_BYTES:
            raise ConfigurationError(f"has more than {_MAX_BYTES} bytes")
        return read(path.read_text(encoding="utf-8"), variables)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error.__cause__
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None


def read(text: str, variables: Mapping[str, str]) -> Pipeline:
    """Read the text of a config.yaml; raises `ConfigurationError` like `read_file`."""
    document = _document(text, variables)
    plugins, service = document.section("plugins"), document.section("service")
    document.without_effect(
        "configs", "insights-core-messaging does not read it either; plugins.configs is read"
    )
    document.finish()
    for variable, why in _NOT_HERE.items():
        if variables.get(variable, "").lower() in {"1", "true", "yes"}:
            document.notes.append(f"{variable}: without effect: {why}")
    return _pipeline(plugins, service, variables)


def _document(text: str, variables: Mapping[str, str]) -> Section:
    try:
        parsed = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 -- both are safe
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        raise ConfigurationError(f"is not YAML: {problem}{where}") from None
    except RecursionError:
        raise ConfigurationError("is nested too deeply") from None
    if not isinstance(parsed, Mapping):
        raise ConfigurationError(f"got {type(parsed).__name__}, expected a mapping with plugins and service")
    whole = Section("", {"whole": with_clowder(substituted(parsed, variables), variables)}).section("whole")
    return Section("", whole.values)


def _pipeline(plugins: Section, service: Section, variables: Mapping[str, str]) -> Pipeline:
    engine_form, engine = components.engine(service)
    incoming = components.incoming(service, variables)
    download = components.download(service, variables)
    outgoing = components.outgoing(service, variables)
    watchers = components.watchers(service, variables)
    limit = _overridden(service, engine, "unpacked_archive_size_limit").number(
        "unpacked_archive_size_limit", -1, least=-1
    )
    _check_format(service, engine)
    why = "archives are unpacked in memory, within the archive's deadline"
    for section in (service, engine):
        section.without_effect("extract_timeout", why)
    service.without_effect(
        "requeuer",
        "a message is retried automatically, then dead-lettered; headrace dead-letters redrive puts it back",
    )
    logging = service.section("logging") if service.has("logging") else None
    configurator = (
        components.own(service, "logging_configurator") if service.has("logging_configurator") else None
    )
    rules = _rules(plugins, service, engine)
    engine.finish()
    service.finish()
    wants_info = outgoing.form is OutgoingForm.WORKLOAD_INFO
    if wants_info != (engine_form is EngineForm.WORKLOAD_INFO) and outgoing.topic:
        raise ConfigurationError(
            f"service.publisher.name: publishes the {outgoing.form}, but service.engine.name makes the "
            f"{engine_form}"
        )
    return Pipeline(
        rules=rules,
        max_unpacked_bytes=int(limit) if limit >= 0 else None,
        engine=engine_form,
        incoming=incoming,
        download=download,
        outgoing=outgoing,
        watchers=watchers,
        logging=None if logging is None else retyped(logging.values),
        logging_configurator=configurator,
        notes=tuple(dict.fromkeys((*plugins.notes, *service.notes))),
    )


def _overridden(service: Section, engine: Section, key: str) -> Section:
    """Return the section whose value of a key applies: the engine's arguments take precedence over the service's."""
    service.raw(key)
    return engine if engine.has(key) else service


def _check_format(service: Section, engine: Section) -> None:
    for section, key in ((service, "format"), (engine, "formatter")):
        name = section.text(key)
        if name == _TEXT:
            section.without_effect(key, "reports are JSON")
        elif name not in {"", _JSON}:
            section.wrong(key, _JSON)


def _rules(plugins: Section, service: Section, engine: Section) -> RulesConfig:
    packages = []
    for name in plugins.texts("packages"):
        if name.partition(".")[0] in names.PIPELINE_PACKAGES and not components.importable(name):
            plugins.notes.append(
                f"plugins.packages: {name}: is not installed; the parts that the pipeline needs are built in"
            )
        else:
            packages.append(name)
    if not packages:
        plugins.notes.append(
            "plugins.packages: names no rules, so that reports stay empty;"
            " the shipped ones are headrace.rule_pack"
        )
    config = RulesConfig(
        packages=tuple(packages),
        default_component_enabled=plugins.flag("default_component_enabled", default=True),
        configs=tuple(_component_configs(plugins)),
        target_components=_overridden(service, engine, "target_components").texts("target_components"),
        extract_directory=_overridden(service, engine, "extract_tmp_dir").text("extract_tmp_dir") or None,
    )
    if config.extract_directory and not Path(config.extract_directory).is_dir():
        _overridden(service, engine, "extract_tmp_dir").wrong("extract_tmp_dir", "a directory that exists")
    plugins.finish()
    return config


def _component_configs(plugins: Section) -> list[Mapping[str, Any]]:
    configs: list[Mapping[str, Any]] = []
    for number, entry in enumerate(plugins.items("configs")):
        path = f"plugins.configs[{number}]"
        if not isinstance(entry, Mapping):
            raise ConfigurationError(f"{path}: got {entry!r}, expected a mapping with a component's name")
        section = Section(path, entry)
        section.required_text("name", "a component's name or a prefix of one")
        for key in entry:
            if key not in _CONFIG_KEYS:
                raise ConfigurationError(f"{path}.{key}: unknown key; {suggestion(str(key), _CONFIG_KEYS)}")
        section.flag("enabled")
        section.number("timeout", least=0)
        configs.append(retyped(entry))
    return configs


__all__ = ["OwnClass", "Pipeline", "read", "read_file"]
