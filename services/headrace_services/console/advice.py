"""Recommendations as people read them: what is set, what is recommended, and what the difference means. No I/O."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.contracts.kruize import ENGINES, RESOURCES, SECTIONS, TERMS, Code, short_name
from headrace_services.console import words

TERM_NAMES: Final = tuple(short_name(term) for term in TERMS)
ENGINE_NAMES: Final = ENGINES
_MIB: Final = 1 << 20
_NAMES: Final = {"cpu": "CPU", "memory": "Memory"}
_SETTINGS: Final = {"requests": "request", "limits": "limit"}
# What the notifications of a recommendation mean for whoever reads it; others are shown as Kruize words them.
_MEANINGS: Final = {
    str(int(code)): f"The {what} already fits the usage: nothing to change."
    for code, what in (
        (Code.CPU_REQUEST_OPTIMISED, "CPU request"),
        (Code.CPU_LIMIT_OPTIMISED, "CPU limit"),
        (Code.MEMORY_REQUEST_OPTIMISED, "memory request"),
        (Code.MEMORY_LIMIT_OPTIMISED, "memory limit"),
    )
}
_MAX_NOTES: Final = 20


@dataclass(frozen=True)
class Change:
    """One request or limit, in cores or bytes; None where there is none."""

    section: str
    resource: str
    current: float | None = None
    recommended: float | None = None

    @property
    def title(self) -> str:
        """What it is, such as ``CPU request``."""
        return f"{_NAMES[self.resource]} {_SETTINGS[self.section]}"

    @property
    def difference(self) -> float | None:
        """What the recommendation adds; negative where it takes away."""
        if self.current is None or self.recommended is None:
            return None
        return self.recommended - self.current

    @property
    def effect(self) -> str:
        """What following the recommendation does: a request that grows is a need, never a negative saving."""
        difference = self.difference
        if self.recommended is None:
            return "no recommendation"
        if difference is None or self.current is None:
            return "not set today"
        amount = words.amount(self.resource, abs(difference))
        if difference == 0:
            return "stays"
        share = f" ({difference / self.current:+.0%})" if self.current > 0 else ""
        if self.section == "limits":
            return f"{'lower' if difference < 0 else 'higher'} by {amount}{share}"
        return f"saves {amount}{share}" if difference < 0 else f"needs {amount} more{share}"


@dataclass(frozen=True)
class Advice:
    """What one term and engine of a recommendation say; ``hours`` is how much usage it stands on."""

    changes: Sequence[Change]
    is_given: bool
    notes: Sequence[str] = ()
    hours: float | None = None

    def change(self, section: str, resource: str) -> Change:
        """Return one of the changes."""
        return next(item for item in self.changes if (item.section, item.resource) == (section, resource))


def advice_of(recommendations: Any, term: str, engine: str) -> Advice:
    """Return what a recommendation says for a term (``short``) and an engine (``cost``)."""
    at_term = _part(recommendations, "recommendation_terms", f"{term}_term")
    at_engine = _part(at_term, "recommendation_engines", engine)
    current, wanted = _part(recommendations, "current"), _part(at_engine, "config")
    changes = [
        Change(section, resource, _amount(current, section, resource), _amount(wanted, section, resource))
        for section in SECTIONS
        for resource in RESOURCES
    ]
    return Advice(
        changes,
        is_given=any(item.recommended is not None for item in changes),
        notes=_notes(recommendations, at_term, at_engine),
        hours=_number(at_term.get("duration_in_hours")),
    )


def choices_of(recommendations: Any) -> list[tuple[str, str]]:
    """Return the terms and engines for which there is a recommendation."""
    return [
        (term, engine)
        for term in TERM_NAMES
        for engine in ENGINE_NAMES
        if advice_of(recommendations, term, engine).is_given
    ]


def manifest(changes: Sequence[Change], *, recommended: bool) -> str:
    """Return the ``resources`` of a container as YAML; recommended amounts are rounded up to whole MiB."""
    lines = []
    for section in SECTIONS:
        amounts = [
            (item.resource, item.recommended if recommended else item.current)
            for item in changes
            if item.section == section
        ]
        given = [
            f"    {resource}: {quantity(resource, value, rounded=recommended)}"
            for resource, value in amounts
            if value is not None
        ]
        lines += [f"  {section}:", *given] if given else []
    return "\n".join(["resources:", *lines]) if lines else "resources: {}"


def quantity(resource: str, value: float, *, rounded: bool) -> str:
    """Return an amount as Kubernetes writes it."""
    if resource == "cpu":
        milli = math.ceil(round(value * 1000, 6))
        return f"{milli}m" if milli % 1000 else str(milli // 1000)
    if not rounded and value % _MIB:
        return str(round(value))
    mib = math.ceil(value / _MIB)
    return f"{mib // 1024}Gi" if mib and mib % 1024 == 0 else f"{mib}Mi"


def _notes(*levels: Any) -> list[str]:
    found: dict[str, None] = {}
    for level in levels:
        for code, note in list(_part(level, "notifications").items())[:_MAX_NOTES]:
            text = _MEANINGS.get(code) or (note.get("message") if isinstance(note, Mapping) else None)
            if isinstance(text, str) and text:
                found[text] = None
    return list(found)[:_MAX_NOTES]


def _amount(config: Mapping[str, Any], section: str, resource: str) -> float | None:
    return _number(_part(config, section, resource).get("amount"))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _part(parent: Any, *names: str) -> Mapping[str, Any]:
    for name in names:
        parent = parent.get(name) if isinstance(parent, Mapping) else None
    return parent if isinstance(parent, Mapping) else {}
