"""What a row of the services' table is once an operator's settings are applied to it.

A row is changed here and nowhere else: `app.py`, `headrace init`, the manifests all have the outcome.
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
"""What a setting says; None or the empty text where it says nothing."""

S = TypeVar("S", bound=Settings)


class Loaded:
    """A service's settings, each class read once."""

    def __init__(self) -> None:
        self._settings: dict[type[Settings], Settings] = {}

    def of(self, kind: type[S]) -> S:
        """From the environment; raises `ConfigurationError`."""
        found = self._settings.get(kind)
        if not isinstance(found, kind):
            found = self._settings[kind] = kind.read()
        return found


def resolved(row: Service, loaded: Loaded | None = None) -> Service:
    """The row in this process: by its service's settings, which ``loaded`` keeps. Raises `ConfigurationError`."""
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
    """The row in a pod whose variables are these, names only: what is computed stays as the table has it."""
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
    """None where it is switched off."""
    if setting.off is not None and (said or "") == setting.off:
        return None
    return setting.form.format(said) if said else known
