"""What services declare in their own folders: settings, and upstream's variables that do nothing here."""

import inspect
from collections.abc import Mapping
from typing import Any

from headrace.runtime.settings import Settings, environment_name
from headrace.service.row import Service

SettingsClass = type[Settings]


def settings_of(row: Service) -> list[SettingsClass]:
    """The settings classes of a service, in the order they stand; none where it has no ``settings.py``."""
    return [
        item
        for item in _settings_module(row).values()
        if inspect.isclass(item)
        and issubclass(item, Settings)
        and item.__module__ == f"headrace_services.{row.name}.settings"
    ]


def variables_of(row: Service) -> frozenset[str]:
    """The environment variables that a service reads."""
    return frozenset(environment_name(kind, name) for kind in settings_of(row) for name in kind.model_fields)


def without_effect(row: Service) -> Mapping[str, str]:
    """Upstream's variables that a service takes and does nothing with, and why."""
    idle: Mapping[str, str] = _settings_module(row).get("WITHOUT_EFFECT", {})
    return idle


def _settings_module(row: Service) -> Mapping[str, Any]:
    try:
        return vars(row.module("settings"))
    except ModuleNotFoundError as error:
        if error.name == f"headrace_services.{row.name}.settings":
            return {}
        raise
