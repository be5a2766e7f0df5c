"""The two engines: the recommendation for a window's usage, and its variation from the current amounts.

Source: kruize/autotune (RecommendationEngine.populateRecommendation, RecommendationConstants).
"""

from dataclasses import dataclass
from typing import Any, Final

from headrace.contracts.kruize import COST, PERFORMANCE, SECTIONS, Code, Resource, Section
from headrace_services.kruize.notifications import notifications
from headrace_services.kruize.series import Floats
from headrace_services.kruize.usage import cpu_amount, memory_amount

# requests and limits, then cpu and memory, then amount and format.
Config = dict[str, dict[str, dict[str, Any]]]

# In percent: 0.1 means a thousandth, not a tenth.
DEFAULT_THRESHOLD_PERCENT: Final = 0.1
ONE_MILLICORE: Final = 0.001
OPTIMISED: Final[dict[tuple[Resource, Section], Code]] = {
    ("cpu", "requests"): Code.CPU_REQUEST_OPTIMISED,
    ("cpu", "limits"): Code.CPU_LIMIT_OPTIMISED,
    ("memory", "requests"): Code.MEMORY_REQUEST_OPTIMISED,
    ("memory", "limits"): Code.MEMORY_LIMIT_OPTIMISED,
}
FORMAT_MISSING: Final[dict[Resource, Code]] = {
    "cpu": Code.CPU_FORMAT_MISSING,
    "memory": Code.MEMORY_FORMAT_MISSING,
}


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine: its percentile of CPU; both use the 100th of memory."""

    name: str
    cpu_percentile: int
    available: Code


ENGINES: Final = (
    Engine(COST, 60, Code.COST_AVAILABLE),
    Engine(PERFORMANCE, 98, Code.PERFORMANCE_AVAILABLE),
)


@dataclass(frozen=True, slots=True)
class Window:
    """The input of the engines: one term's intervals, taken together.

    ``cpu_high`` ascends and is not empty; an absent unit is empty.
    """

    cpu_high: Floats
    cpu_unit: str
    memory_highest: float
    memory_spike: float
    memory_unit: str
    pods: int


def recommendation_of(
    engine: Engine, window: Window, current: Config, threshold_percent: float
) -> dict[str, Any]:
    """Return one engine's section."""
    config: Config = {}
    variation: Config = {}
    codes: list[Code] = []
    cpu = cpu_amount(engine.cpu_percentile, window.cpu_high)
    memory = memory_amount(window.memory_highest, window.memory_spike)
    if cpu == 0:
        codes.append(Code.CPU_ZERO)
    elif cpu <= ONE_MILLICORE:
        codes.append(Code.CPU_IDLE)
    else:
        codes += _set("cpu", cpu, window.cpu_unit, current, threshold_percent, config, variation)
    if memory == 0:
        codes.append(Code.MEMORY_ZERO)
    elif memory > 0:
        codes += _set("memory", memory, window.memory_unit, current, threshold_percent, config, variation)
    if window.pods == 0:
        codes.append(Code.PODS_ZERO)
    return {
        "pods_count": window.pods,
        "confidence_level": 0.0,
        "config": config,
        "variation": variation,
        "notifications": notifications(codes),
    }


def _set(
    resource: Resource,
    amount: float,
    unit: str,
    current: Config,
    threshold_percent: float,
    config: Config,
    variation: Config,
) -> list[Code]:
    """Put one resource into both sections; return its codes.

    Request and limit are the same number: if one of them stays at its current amount, both become that amount (the
    limit's takes precedence), while the other's variation still shows the distance to the computed amount.
    """
    if not unit:
        return [FORMAT_MISSING[resource]]
    codes = []
    kept = amount
    for section in SECTIONS:
        now = current.get(section, {}).get(resource, {}).get("amount", 0.0)
        distance = amount - now
        if now > 0 and abs(distance / now * 100) <= threshold_percent:
            kept, distance = now, 0.0
            codes.append(OPTIMISED[resource, section])
        variation.setdefault(section, {})[resource] = {"amount": distance, "format": unit}
    for section in SECTIONS:
        config.setdefault(section, {})[resource] = {"amount": kept, "format": unit}
    return codes
