"""The parts of Kruize's answer to updateRecommendations that ros_poller reads."""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import Field, TypeAdapter

from headrace.contracts.message import Part
from headrace.contracts.ros import ExperimentType, Text
from headrace_services.ros_poller.recommendation import Notifications


class Recommendations(Part):
    """Recommendations by the end of the usage on which they are based, in Kruize's notation, not validated."""

    notifications: Notifications = Field(default_factory=dict)
    data: dict[str, dict[str, Any]] = Field(default_factory=dict)


class _Container(Part):
    container_name: Text
    recommendations: Recommendations = Recommendations()


class _Namespace(Part):
    namespace: Text
    recommendations: Recommendations = Recommendations()


class _KubernetesObject(Part):
    containers: list[_Container] = Field(default_factory=list)
    namespaces: _Namespace | None = None


class Experiment(Part):
    """Kruize's answer for one experiment."""

    experiment_type: ExperimentType = "container"
    kubernetes_objects: list[_KubernetesObject]

    def recommendations(self) -> dict[str, Recommendations]:
        """The recommendations by container, or by the namespace's name."""
        return dict(self._recommendations())

    def _recommendations(self) -> Iterator[tuple[str, Recommendations]]:
        for item in self.kubernetes_objects:
            if self.experiment_type == "namespace":
                if item.namespaces is not None:
                    yield item.namespaces.namespace, item.namespaces.recommendations
            else:
                for container in item.containers:
                    yield container.container_name, container.recommendations


EXPERIMENTS: Final = TypeAdapter(list[Experiment])
