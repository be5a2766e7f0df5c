"""Variables in a config.yaml, and the types that its texts take.

The same texts give the same values as in insights-core-messaging, with one difference: what we read ourselves as a text
stays as it was written, where the framework makes a number of it first ("007" would name the group "7").
Source: RedHatInsights/insights-core-messaging, insights_messaging/template.py.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

_REFERENCE: Final = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<plain>[_a-z][_a-z0-9]*)|\{(?P<braced>[^}]*)\})", re.IGNORECASE
)
_ONLY_REFERENCE: Final = re.compile(r"\$(?:([_a-z][_a-z0-9]*)|\{([_a-z][_a-z0-9]*)\})", re.IGNORECASE)


def substituted(value: Any, variables: Mapping[str, str]) -> Any:
    """Put variables into every text of a parsed YAML, however deep; keys stay. An empty text becomes None.

    ``$NAME`` and ``${NAME}`` stay as they are when NAME is not set, ``${NAME:default}`` gives the default then;
    ``$$`` is a dollar.
    """
    if isinstance(value, Mapping):
        return {key: substituted(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [substituted(item, variables) for item in value]
    return _substituted_text(value, variables) if isinstance(value, str) else value


def retyped(value: Any) -> Any:
    """Make every text, however deep, the bool, int or float that it reads as; what a class of one's own is given."""
    if isinstance(value, Mapping):
        return {key: retyped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [retyped(item) for item in value]
    return retyped_text(value) if isinstance(value, str) else value


def retyped_text(text: str) -> bool | float | str | None:
    """Make one text what it reads as: ``"007"`` is 7, ``"1_000"`` is 1000, ``"nan"`` is a float, ``""`` is None."""
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
    """Name the variable of a text that is nothing but a reference, left over because the variable is not set."""
    found = _ONLY_REFERENCE.fullmatch(text)
    return (found[1] or found[2]) if found else None


def _substituted_text(text: str, variables: Mapping[str, str]) -> str | None:
    def replacement(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        name, colon, default = (found["plain"] or found["braced"] or "").partition(":")
        return variables.get(name, default if colon else found[0])

    return _REFERENCE.sub(replacement, text) or None
