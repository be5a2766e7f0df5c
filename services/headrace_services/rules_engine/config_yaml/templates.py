"""Substitution of variables in a config.yaml, and conversion of its texts to types.

The same texts give the same values as in insights-core-messaging, with one difference: a text that Headrace reads as a
text stays unchanged, where the framework first makes a number of it ("007" would name the group "7"). Source:
RedHatInsights/insights-core-messaging, insights_messaging/template.py.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

_REFERENCE: Final = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<plain>[_a-z][_a-z0-9]*)|\{(?P<braced>[^}]*)\})", re.IGNORECASE
)
_ONLY_REFERENCE: Final = re.compile(r"\$(?:([_a-z][_a-z0-9]*)|\{([_a-z][_a-z0-9]*)\})", re.IGNORECASE)


def substituted(value: Any, variables: Mapping[str, str]) -> Any:
    """Substitute variables in every text of a parsed YAML, at any depth, but not in keys. An empty text becomes None.

    ``$NAME`` and ``${NAME}`` stay unchanged if NAME is not set, ``${NAME:default}`` becomes the default then; ``$$`` is
    a dollar.
    """
    if isinstance(value, Mapping):
        return {key: substituted(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [substituted(item, variables) for item in value]
    return _substituted_text(value, variables) if isinstance(value, str) else value


def retyped(value: Any) -> Any:
    """Convert every text, at any depth, to the bool, int or float that it denotes, for the user's own classes."""
    if isinstance(value, Mapping):
        return {key: retyped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [retyped(item) for item in value]
    return retyped_text(value) if isinstance(value, str) else value


def retyped_text(text: str) -> bool | float | str | None:
    """Convert one text: ``"007"`` is 7, ``"1_000"`` is 1000, ``"nan"`` is a float, ``""`` is None."""
    if not text:
        return None
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def unset_variable(text: str) -> str | None:
    """Return the variable of a text that is only a reference to an unset variable, else None."""
    found = _ONLY_REFERENCE.fullmatch(text)
    return (found[1] or found[2]) if found else None


def _substituted_text(text: str, variables: Mapping[str, str]) -> str | None:
    def replacement(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        name, colon, default = (found["plain"] or found["braced"] or "").partition(":")
        return variables.get(name, default if colon else found[0])

    return _REFERENCE.sub(replacement, text) or None
