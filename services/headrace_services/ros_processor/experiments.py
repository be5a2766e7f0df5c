"""The requests to Kruize for one workload: its experiment, and its usage by interval."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from headrace.contracts.kruize import (
    MEASUREMENT_MINUTES,
    PERFORMANCE_PROFILE,
    SEPARATORS,
    cluster_name,
    container_experiment,
    namespace_experiment,
    timestamp,
)
from headrace.contracts.ros import RosMetadata
from headrace_services.ros_processor.aggregation import ContainerUsage, IntervalRecord, Workload

_VERSION: Final = "1.0"
# Recommendations that differ from the current amount by a smaller part, in percent, count as equal.
_THRESHOLD: Final = "0.1"
# PostgreSQL limits an index entry to 2700 bytes.
_MAX_NAME_BYTES: Final = 1024
# All workloads of a file have the same few intervals.
_timestamp = lru_cache(maxsize=4096)(timestamp)


@dataclass(frozen=True)
class Experiment:
    """A workload under its name in Kruize."""

    name: str
    cluster: str
    workload: Workload

    @classmethod
    def of(cls, metadata: RosMetadata, workload: Workload) -> "Experiment":
        """Return the experiment of a cluster's workload."""
        whose = (metadata.org_id, metadata.source_id, metadata.cluster_uuid, workload.namespace)
        name = (
            namespace_experiment(*whose)
            if workload.kind == "namespace"
            else container_experiment(*whose, workload.object_type, workload.object_name)
        )
        return cls(name, cluster_name(metadata.org_id, metadata.cluster_uuid), workload)

    @property
    def fault(self) -> str | None:
        """Return why Kruize could not store it; None if it could."""
        texts = [self.name, *(text for pair in self.workload.containers for text in pair)]
        if any("\0" in text for text in texts):
            return "a name contains a NUL character"
        workload = self.workload
        if any(SEPARATORS & set(text) for text in (workload.namespace, workload.object_name or "")):
            return f"a name contains one of {''.join(sorted(SEPARATORS))!r}"
        if any(len(text.encode()) > _MAX_NAME_BYTES for text in texts):
            return f"a name has more than {_MAX_NAME_BYTES} bytes"
        return None

    def creation(self) -> dict[str, Any]:
        """Return the element of the array for `/createExperiment`."""
        workload = self.workload
        body: dict[str, Any] = {
            "version": _VERSION,
            "experiment_name": self.name,
            "cluster_name": self.cluster,
            "performance_profile": PERFORMANCE_PROFILE,
            "mode": "monitor",
            "target_cluster": "remote",
        }
        if workload.kind == "namespace":
            body["experiment_type"] = "namespace"
            what: dict[str, Any] = {"namespaces": {"namespace": workload.namespace}}
        else:
            containers = [
                {"container_image_name": image, "container_name": name, "recommendations": {}}
                for name, image in workload.containers
            ]
            what = self.kubernetes_object(containers)
        return body | {
            "kubernetes_objects": [what],
            "trial_settings": {"measurement_duration": f"{MEASUREMENT_MINUTES}min"},
            "recommendation_settings": {"threshold": _THRESHOLD},
        }

    def kubernetes_object(self, containers: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the workload with its containers."""
        workload = self.workload
        return {
            "type": workload.object_type,
            "name": workload.object_name,
            "namespace": workload.namespace,
            "containers": containers,
        }


@dataclass(slots=True)
class Result:
    """One interval of an experiment: an element of the array for `/updateResults`.

    ``key`` identifies it in Kruize's notation: experiment, start, end.
    """

    experiment: Experiment
    record: IntervalRecord
    key: tuple[str, str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.experiment.name, _timestamp(self.record.start), _timestamp(self.record.end)

    @property
    def end(self) -> datetime:
        """The end of the interval."""
        return self.record.end

    def body(self) -> dict[str, Any]:
        """Return the element."""
        name, start, end = self.key
        return {
            "version": _VERSION,
            "experiment_name": name,
            "interval_start_time": start,
            "interval_end_time": end,
            "kubernetes_objects": [self._object()],
        }

    def _object(self) -> dict[str, Any]:
        usages = self.record.containers
        workload = self.experiment.workload
        if workload.kind == "namespace":
            return {"namespaces": {"namespace": workload.namespace, "metrics": usages[0].metrics}}
        return self.experiment.kubernetes_object([_container(usage) for usage in usages])


def _container(usage: ContainerUsage) -> dict[str, Any]:
    return {
        "container_image_name": usage.image,
        "container_name": usage.name,
        "metrics": usage.metrics,
    }
