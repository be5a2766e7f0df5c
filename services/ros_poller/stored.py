"""A recommendation as it is stored: the JSON that the API shows, and the columns to sort by."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from headrace.contracts.message import rfc3339
from headrace.ros.amounts import bytes_column, cores_column, cpu_percent, memory_percent
from services.ros_poller.answer import Recommendation

# Stands for "not known" where a time may not be null.
NO_TIME: Final = datetime(1, 1, 1, tzinfo=UTC)
TERMS: Final = ("short", "medium", "long")
ENGINES: Final = ("cost", "performance")
CURRENT_COLUMNS: Final = ("cpu_request_current", "memory_request_current")
VARIATION_COLUMNS: Final = tuple(
    f"{resource}_variation_{term}_{engine}_pct"
    for resource in ("cpu", "memory")
    for term in TERMS
    for engine in ENGINES
)

_NOT_STORED: Final = frozenset({"pods_count", "confidence_level"})
_TIMES: Final = frozenset({"monitoring_start_time", "monitoring_end_time"})
# What is left is a number without a sentence about it: the resource is missing from the recommendation.
_MISSING: Final = frozenset({"323001", "323002", "323003", "324001", "324002"})
# JSON readers of other languages take whole numbers up to here exactly.
_WHOLE_BELOW: Final = 2.0**53


@dataclass(frozen=True)
class StoredRecommendation:
    """One row: of a container, or of a namespace. ``columns`` by name; None for a term without recommendation."""

    name: str
    start: datetime
    end: datetime
    recommendations: dict[str, Any]
    columns: dict[str, float | None]
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, name: str, raw: dict[str, Any]) -> "StoredRecommendation":
        """Read what Kruize gave for one moment; raises ``ValueError`` (pydantic's) where it is not as expected."""
        recommendation = Recommendation.model_validate(raw)
        terms = recommendation.recommendation_terms
        return cls(
            name=name,
            start=terms.short_term.monitoring_start_time or NO_TIME,
            end=recommendation.monitoring_end_time,
            recommendations=_stored(raw),
            columns=_columns(recommendation),
            remarks=_remarks(recommendation),
        )


def _stored(value: Any, key: str = "") -> Any:
    """The same without numbers that are zero and without what nobody reads, times without their zeros."""
    if isinstance(value, dict):
        kept = {name: _stored(item, name) for name, item in value.items() if name not in _NOT_STORED}
        return {name: item for name, item in kept.items() if not _is_zero(item)}
    if isinstance(value, list):
        return [_stored(item) for item in value]
    if key in _TIMES:
        return rfc3339(datetime.fromisoformat(value))
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_BELOW:
        return int(value)
    return value


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _columns(recommendation: Recommendation) -> dict[str, float | None]:
    current = recommendation.current.requests
    # Percentages are of what the columns hold.
    cores, memory_bytes = cores_column(current.cpu.amount), bytes_column(current.memory.amount)
    columns: dict[str, float | None] = dict(zip(CURRENT_COLUMNS, (cores, memory_bytes), strict=True))
    for term in TERMS:
        engines = getattr(recommendation.recommendation_terms, f"{term}_term").recommendation_engines
        for engine in ENGINES:
            cpu = memory = None
            if engines is not None:
                variation = getattr(engines, engine).variation.requests
                cpu = cpu_percent(variation.cpu.amount, cores)
                memory = memory_percent(variation.memory.amount, memory_bytes)
            columns[f"cpu_variation_{term}_{engine}_pct"] = cpu
            columns[f"memory_variation_{term}_{engine}_pct"] = memory
    return columns


def _remarks(recommendation: Recommendation) -> tuple[str, ...]:
    """Why a resource is missing, once each."""
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
