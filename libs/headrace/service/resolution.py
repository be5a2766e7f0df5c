"""Applies an operator's settings to the rows of the services' table.

Rows change only here: services, `headrace init` and the manifests use the outcome.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from headrace.bus.consumption import Consumption
from headrace.contracts.topics import Topic
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.set_by import Setting
from headrace.runtime.settings import Settings, environment_name
from headrace.service.declarations import settings_of
from headrace.service.row import Service

Value: TypeAlias = Callable[[Setting], Any]
"""Returns the value of a setting; None or the empty text leaves the row unchanged."""

S = TypeVar("S", bound=Settings)


class Loaded:
    """The settings of a service; each class is read once."""

    def __init__(self) -> None:
        self._settings: dict[type[Settings], Settings] = {}

    def of(self, kind: type[S]) -> S:
        """Return the settings of a class, read from the environment; raises `ConfigurationError`."""
        found = self._settings.get(kind)
        if not isinstance(found, kind):
            found = self._settings[kind] = kind.read()
        return found


def resolved(row: Service, loaded: Loaded | None = None) -> Service:
    """Return the row as this process uses it, with its service's settings applied; raises `ConfigurationError`.

    ``loaded`` keeps the settings that are read.
    """
    if not row.settings:
        return row
    fields = {
        environment_name(kind, name): (kind, name) for kind in settings_of(row) for name in kind.model_fields
    }
    loaded = loaded or Loaded()

    def value(setting: Setting) -> Any:
        if unknown := [name for name in setting.variables if name not in fields]:
            raise ConfigurationError(
                f"{row.name}: its row names {', '.join(unknown)} in set_by, which its settings.py does not declare"
            )
        kind, name = fields[setting.variable]
        return getattr(loaded.of(kind), setting.by or name)

    return _applied(row, value)


def rendered(row: Service, environment: Mapping[str, str]) -> Service:
    """Return the row as a pod with these variables uses it. Only names change; computed values stay as in the table."""
    return _applied(row, lambda setting: None if setting.by else environment.get(setting.variable))


def _applied(row: Service, value: Value) -> Service:
    names = {name: _name(name, setting, value(setting)) for name, setting in row.set_by.items()}
    return replace(
        row,
        consumes=tuple(item for known in row.consumes if (item := _consumption(known, value)) is not None),
        produces=tuple(_renamed(row.produces, names)),
        buckets=tuple(name for bucket in row.buckets if (name := names.get(bucket, bucket)) is not None),
        set_by={},
    )


def _renamed(topics: Iterable[Topic[Any]], names: Mapping[str, str | None]) -> Iterable[Topic[Any]]:
    for topic in topics:
        if (name := names.get(topic.name, topic.name)) is not None:
            yield replace(topic, name=name)


def _consumption(known: Consumption, value: Value) -> Consumption | None:
    terms: dict[str, Any] = {"set_by": {}}
    for term, setting in known.set_by.items():
        said = value(setting)
        if term == "topic":
            name = _name(known.topic.name, setting, said)
            if name is None:
                return None
            terms[term] = replace(known.topic, name=name)
        elif said is not None and said != "":
            terms[term] = setting.form.format(said) if isinstance(said, str) else said
    return replace(known, **terms)


def _name(known: str, setting: Setting, said: str | None) -> str | None:
    """Return the name, or None if the setting switches it off."""
    if setting.off is not None and (said or "") == setting.off:
        return None
    return setting.form.format(said) if said else known
