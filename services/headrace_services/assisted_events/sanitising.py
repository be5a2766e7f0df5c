"""Sanitises the installer's rows: known fields only, users hashed, secrets removed. No I/O."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

import orjson

from headrace.contracts.assisted import (
    CLUSTER_FIELDS,
    EMBEDDED_FIELDS,
    HOST_FIELDS,
    INFRA_ENV_FIELDS,
    anonymized,
    user_id,
)
from headrace.runtime.logging import redact
from headrace_services.assisted_events.credentials import Entry
from headrace_services.assisted_events.settings import AS_BUILT

Model = dict[str, Any]

FIELDS: Final = {"cluster": CLUSTER_FIELDS, "host": HOST_FIELDS, "infra_env": INFRA_ENV_FIELDS}

_REMOVED: Final = frozenset(
    {
        "additional_trust_bundle", "download_url", "fencing_credentials", "http_proxy", "https_proxy",
        "ignition_endpoint", "ignition_endpoint_http_headers", "installer_args", "kernel_arguments", "no_proxy",
        "proxy", "ssh_authorized_key", "ssh_public_key", "static_network_config", "tang_connectivity",
        "tang_servers",
    }
)  # fmt: skip
_REMOVED_ENDINGS: Final = ("_override", "_overrides")
# Free texts, which may contain anything.
_TEXTS: Final = ("message", "props", "status_info")
_UNKNOWN_DOMAINS: Final = frozenset({"", "Unknown"})
# A shorter name occurs in too many words.
_MIN_NAME_CHARACTERS: Final = 3


def model_of(kind: str, row: Mapping[str, Any], json_columns: Collection[str] = ()) -> Model:
    """Return a row as the model that upstream marshals: without empty fields, times in milliseconds."""
    values = {
        name: orjson.loads(value) if name in json_columns and value is not None else _plain(value)
        for name, value in row.items()
    }
    model: Model = {}
    for field in FIELDS[kind]:
        value = values.get(field)
        if value is None and field in EMBEDDED_FIELDS and field not in values:
            value = _embedded(field, values) or None
        if value is not None:
            model[field] = value
    return model


def _embedded(field: str, values: Mapping[str, Any]) -> Model:
    """Return the object that columns with a common prefix represent, and the objects below it."""
    prefix = EMBEDDED_FIELDS[field]
    found = {
        name.removeprefix(prefix): value
        for name, value in values.items()
        if name.startswith(prefix) and value is not None
    }
    for inner in EMBEDDED_FIELDS:
        parent, _, name = inner.rpartition(".")
        if parent == field and name not in found and (below := _embedded(inner, found)):
            found = {key: value for key, value in found.items() if not key.startswith(EMBEDDED_FIELDS[inner])}
            found[name] = below
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return milliseconds(value)
    if value is None or isinstance(value, (str, int, float, list)):
        return value
    return str(value)


def milliseconds(moment: datetime) -> str:
    """Return RFC 3339 in UTC, in the installer's form."""
    return f"{moment.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def with_identity(model: Model, identity: Entry) -> Model:
    """Return a copy with the user and e-mail domain that an installer without accounts does not know."""
    filled = dict(model)
    if not filled.get("user_name") and identity.username:
        filled["user_name"] = identity.username
    if filled.get("email_domain", "") in _UNKNOWN_DOMAINS and identity.email_domain:
        filled["email_domain"] = identity.email_domain
    return filled


@dataclass(frozen=True)
class Sanitiser:
    """The users of one cluster; ``mode`` determines whether anything is removed."""

    mode: str
    names: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None

    @classmethod
    def of(cls, mode: str, names: Iterable[Any]) -> Self:
        """Return a sanitiser for the user names and addresses in a cluster's rows and credentials."""
        known = sorted({str(n) for n in names if n and len(str(n)) >= _MIN_NAME_CHARACTERS}, key=len)
        if not known or mode == AS_BUILT:
            return cls(mode)
        # The longest first, because an address may begin with a name.
        either = "|".join(re.escape(name) for name in reversed(known))
        return cls(mode, tuple(known), re.compile(rf"(?<!\w)(?:{either})(?!\w)"))

    def model(self, model: Model) -> Model:
        """Return a sanitised cluster, host or infra-env."""
        if self.mode == AS_BUILT:
            return model
        return self.texts(anonymized(_without_secrets(model)))

    def texts(self, model: Model) -> Model:
        """Return the model with users and credentials removed from its free texts."""
        if self.mode == AS_BUILT:
            return model
        for name in _TEXTS:
            if isinstance(text := model.get(name), str):
                model[name] = self._text(text)
        return model

    def _text(self, text: str) -> str:
        text = redact(text)
        # Most texts contain no name, and a plain search is faster than the pattern.
        if self.pattern is None or not any(name in text for name in self.names):
            return text
        return self.pattern.sub(lambda match: user_id(match[0]), text)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _without_secrets(item)
        for name, item in value.items()
        if name not in _REMOVED and not name.endswith(_REMOVED_ENDINGS)
    }
