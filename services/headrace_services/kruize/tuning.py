"""An experiment's ``recommendation_settings``, field by field."""

import math
from collections.abc import Collection, Mapping
from typing import Any, Final

from headrace.contracts.kruize import ENGINES, TERMS, short_name
from headrace_services.kruize.refusals import JSON_ERROR, Refused, named

_EMPTY: Final = "Empty term or model value."
# The settings, the list within each, its valid items, and the error for other items.
_CHOICES: Final = (
    (
        "term_settings",
        "terms",
        tuple(map(short_name, TERMS)),
        "Term name is not supported. Use short, medium or long term.",
    ),
    (
        "model_settings",
        "models",
        ENGINES,
        "Model name is not supported. Use cost or performance.",
    ),
)


def check_settings(settings: Any) -> None:
    """Raise `Refused` for settings with which no recommendation can be made; a map of custom terms is not checked."""
    if not isinstance(settings, dict):
        raise Refused(JSON_ERROR)
    threshold = settings.get("threshold", 0)
    if not _is_number(threshold):
        raise Refused(f"threshold: got {named(threshold)!r}, expected a number such as 0.1")
    for name, part, known, refusal in _CHOICES:
        chosen = settings.get(name)
        if chosen is not None:
            _check_choice(chosen, part, known, refusal)


def _check_choice(chosen: Any, part: str, known: Collection[str], refusal: str) -> None:
    values = chosen.get(part) if isinstance(chosen, Mapping) else chosen
    if values is None or isinstance(values, Mapping):
        return
    if not isinstance(values, list):
        raise Refused(JSON_ERROR)
    for value in values:
        if value is None or (isinstance(value, str) and not value.strip()):
            raise Refused(_EMPTY)
        if value not in known:
            raise Refused(refusal)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False
