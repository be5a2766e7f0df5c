"""Answers of Kruize, with the numbers of the sample's workload."""

from typing import Any

NOT_ENOUGH = {
    "120001": {
        "type": "info",
        "message": "There is not enough data available to generate a recommendation.",
        "code": 120001,
    }
}
AVAILABLE = {"111000": {"type": "info", "message": "Recommendations Are Available", "code": 111000}}


def resources(cpu: float, memory: float) -> dict[str, Any]:
    return {"cpu": {"amount": cpu, "format": "cores"}, "memory": {"amount": memory, "format": "bytes"}}


def sides(cpu: float, memory: float) -> dict[str, Any]:
    return {"requests": resources(cpu, memory), "limits": resources(cpu, memory)}


def engine(**changes: Any) -> dict[str, Any]:
    return {
        "pods_count": 1,
        "confidence_level": 0.0,
        "config": sides(0.064131, 517986304.0),
        "variation": sides(-0.935869, -555755520.0),
        "notifications": {},
    } | changes


def data(end: str = "2023-06-03T00:45:00.000Z", **engines: Any) -> dict[str, Any]:
    """One moment's object."""
    usage = {
        "min": 0.0,
        "q1": 0.064131,
        "median": 0.064131,
        "q3": 0.064131,
        "max": 0.064131,
        "format": "cores",
    }
    return {
        "notifications": {
            "111101": {"type": "info", "message": "Short Term Recommendations Available", "code": 111101}
        },
        "monitoring_end_time": end,
        "current": sides(1.0, 1073741824.0),
        "recommendation_terms": {
            "short_term": {
                "duration_in_hours": 24.0,
                "notifications": {},
                "monitoring_start_time": "2023-06-02T00:45:00.000Z",
                "recommendation_engines": {"cost": engine(), "performance": engine()} | engines,
                "plots": {
                    "datapoints": 4,
                    "plots_data": {
                        "2023-06-02T06:45:00.000Z": {"cpuUsage": usage},
                        "2023-06-02T12:45:00.000Z": {},
                    },
                },
            },
            "medium_term": {"duration_in_hours": 24.72, "notifications": NOT_ENOUGH},
            "long_term": {"duration_in_hours": 24.72, "notifications": NOT_ENOUGH},
        },
    }


def recommendations(
    end: str = "2023-06-03T00:45:00.000Z", moment: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What a container or a namespace has when there is one."""
    return {"version": "1.0", "notifications": AVAILABLE, "data": {end: moment or data(end)}}


NOTHING = {"version": "1.0", "notifications": NOT_ENOUGH, "data": {}}


def containers(**found: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer for a workload."""
    return [
        {
            "cluster_name": "12345;1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c",
            "experiment_type": "container",
            "version": "v2.0",
            "experiment_name": "e",
            "kubernetes_objects": [
                {
                    "type": "replicaset",
                    "name": "Yuptoo-app",
                    "namespace": "Yuptoo-prod",
                    "containers": [
                        {"container_image_name": "i", "container_name": name, "recommendations": item}
                        for name, item in found.items()
                    ],
                }
            ],
        }
    ]


def namespace(name: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer for a namespace."""
    objects = [
        {"namespace": name, "containers": [], "namespaces": {"namespace": name, "recommendations": found}}
    ]
    return [{"experiment_type": "namespace", "experiment_name": "e", "kubernetes_objects": objects}]
