"""A recommendation as it is stored: the JSON that the API shows, and the columns for sorting."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from headrace.contracts.kruize import ENGINES, TERMS, Code
from headrace.ros.amounts import bytes_column, cores_column, cpu_percent, memory_percent
from headrace.ros.columns import CURRENT_COLUMNS, percentage_column
from headrace_services.ros_poller.recommendation import Recommendation

# The codes that say why a resource has no recommendation; the stored number alone would not say it.
_MISSING: Final = frozenset(
    code.key
    for code in (Code.CPU_IDLE, Code.CPU_ZERO, Code.CPU_UNKNOWN, Code.MEMORY_ZERO, Code.MEMORY_UNKNOWN)
)


@dataclass(frozen=True)
class StoredRecommendation:
    """One row, of a container or of a namespace; a value in ``columns`` is None for a term without recommendation."""

    name: str
    start: datetime
    end: datetime
    recommendations: dict[str, Any]
    columns: dict[str, float | None]
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, name: str, raw: dict[str, Any]) -> "StoredRecommendation":
        """Build the row from Kruize's recommendation for one time; raises ``ValueError`` if that is malformed."""
        recommendation = Recommendation.model_validate(raw)
        return cls(
            name=name,
            start=recommendation.recommendation_terms.short_term.monitoring_start_time,
            end=recommendation.monitoring_end_time,
            recommendations=recommendation.written(),
            columns=_columns(recommendation),
            remarks=_remarks(recommendation),
        )


def _columns(recommendation: Recommendation) -> dict[str, float | None]:
    current = recommendation.current.requests
    # Percentages refer to the limited values that the columns contain.
    cores, memory_bytes = cores_column(current.cpu.amount), bytes_column(current.memory.amount)
    columns: dict[str, float | None] = dict(zip(CURRENT_COLUMNS, (cores, memory_bytes), strict=True))
    for term in TERMS:
        engines = getattr(recommendation.recommendation_terms, term).recommendation_engines
        for engine in ENGINES:
            cpu = memory = None
            if engines is not None:
                variation = getattr(engines, engine).variation.requests
                cpu = cpu_percent(variation.cpu.amount, cores)
                memory = memory_percent(variation.memory.amount, memory_bytes)
            columns[percentage_column("cpu", term, engine)] = cpu
            columns[percentage_column("memory", term, engine)] = memory
    return columns


def _remarks(recommendation: Recommendation) -> tuple[str, ...]:
    """Return the messages that say why a resource is missing, once each."""
    terms = recommendation.recommendation_terms
    found = {
        notification.message: None
        for term in (terms.short_term, terms.medium_term, terms.long_term)
        if term.recommendation_engines is not None
        for engine in (term.recommendation_engines.cost, term.recommendation_engines.performance)
        for code, notification in engine.notifications.items()
        if code in _MISSING
    }
    return tuple(found)
