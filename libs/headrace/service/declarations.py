"""The declarations in the services' folders: settings, and upstream's variables without effect."""

import inspect
from collections.abc import Mapping
from typing import Any

from headrace.runtime.settings import Settings, environment_name
from headrace.service.row import Service

SettingsClass = type[Settings]


def settings_of(row: Service) -> list[SettingsClass]:
    """Return the settings classes of a service, in their order; none without a ``settings.py``."""
    return [
        item
        for item in _settings_module(row).values()
        if inspect.isclass(item)
        and issubclass(item, Settings)
        and item.__module__ == f"{row.package}.settings"
    ]


def variables_of(row: Service) -> frozenset[str]:
    """Return the environment variables that a service reads."""
    return frozenset(environment_name(kind, name) for kind in settings_of(row) for name in kind.model_fields)


def without_effect(row: Service) -> Mapping[str, str]:
    """Return upstream's variables that a service accepts without effect, and why."""
    idle: Mapping[str, str] = _settings_module(row).get("WITHOUT_EFFECT", {})
    return idle


def _settings_module(row: Service) -> Mapping[str, Any]:
    try:
        return vars(row.module("settings"))
    except ModuleNotFoundError as error:
        if error.name == f"{row.package}.settings":
            return {}
        raise
