"""Recommendations in the form the poller stores them: zeros omitted, times without fractions."""

from typing import Any

END = "2023-06-03T00:45:00Z"
BYTES = 517986304
CURRENT_BYTES = 1073741824


def config(cpu: float | None, memory: float | None) -> dict[str, Any]:
    def both() -> dict[str, Any]:
        return {"cpu": quantity(cpu, "cores"), "memory": quantity(memory, "bytes")}

    return {"requests": both(), "limits": both()}


def quantity(amount: float | None, unit: str) -> dict[str, Any]:
    return {"amount": amount, "format": unit} if amount else {"format": unit}


def engine(cpu: float = 0.064131, memory: float = BYTES, **more: Any) -> dict[str, Any]:
    return {
        "config": config(cpu, memory),
        "variation": config(cpu - 1, memory - CURRENT_BYTES),
    } | more


def notification(code: int) -> dict[str, Any]:
    return {str(code): {"type": "info", "message": f"about {code}", "code": code}}


def plots() -> dict[str, Any]:
    usage = {
        "min": 0.031571,
        "q1": 0.064131,
        "median": 0.064131,
        "q3": 0.064131,
        "max": 0.0645,
        "format": "cores",
    }
    memory = {"q1": BYTES, "median": BYTES, "q3": BYTES, "max": BYTES, "format": "bytes"}
    points = {"2023-06-02T06:45:00.000Z": {}, END: {"cpuUsage": usage, "memoryUsage": memory}}
    return {"datapoints": 4, "plots_data": points}


def recommendation(end: str = END, **terms: Any) -> dict[str, Any]:
    """What the sample workload `Yuptoo-app` gets; only its short term has enough data."""
    short = {
        "duration_in_hours": 24,
        "monitoring_start_time": "2023-06-02T00:45:00Z",
        "notifications": notification(112101) | notification(112102),
        "recommendation_engines": {"cost": engine(), "performance": engine()},
        "plots": plots(),
    }
    missing = {
        "duration_in_hours": 24.72,
        "monitoring_start_time": "0001-01-01T00:00:00Z",
        "notifications": notification(120001),
    }
    return {
        "monitoring_end_time": end,
        "current": config(1, CURRENT_BYTES),
        "notifications": notification(111101),
        "recommendation_terms": {
            "short_term": short,
            "medium_term": dict(missing),
            "long_term": dict(missing),
        }
        | terms,
    }


PERCENTAGES = {
    "cpu_variation_short_cost_pct": -93.5,
    "cpu_variation_short_performance_pct": -93.5,
    "memory_variation_short_cost_pct": -51.757,
    "memory_variation_short_performance_pct": -51.757,
}
