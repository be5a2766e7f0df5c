"""What Kruize answers to updateRecommendations, as far as the poller reads it."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from headrace.contracts.ros import ExperimentType, Text

AVAILABLE: Final = "111000"
NOT_ENOUGH_DATA: Final = "120001"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Notification(_Part):
    """What Kruize says of a recommendation."""

    message: str = ""


Notifications = dict[str, Notification]


class Recommendations(_Part):
    """By the moment up to which usage was read, as Kruize writes it; each as it came."""

    notifications: Notifications = {}
    data: dict[str, dict[str, Any]] = {}


class _Container(_Part):
    container_name: Text
    recommendations: Recommendations = Recommendations()


class _Namespace(_Part):
    namespace: Text
    recommendations: Recommendations = Recommendations()


class _KubernetesObject(_Part):
    containers: list[_Container] = []
    namespaces: _Namespace | None = None


class Experiment(_Part):
    """One experiment's answer."""

    experiment_type: ExperimentType = "container"
    kubernetes_objects: list[_KubernetesObject]

    def recommendations(self) -> dict[str, Recommendations]:
        """By container, or for the namespace by its name."""
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

Number = Annotated[float, Field(allow_inf_nan=False)]


class _Amount(_Part):
    amount: Number = 0.0


class _Resources(_Part):
    cpu: _Amount = _Amount()
    memory: _Amount = _Amount()


class _Sides(_Part):
    requests: _Resources = _Resources()


class _Engine(_Part):
    variation: _Sides = _Sides()
    notifications: Notifications = {}


class _Engines(_Part):
    cost: _Engine = _Engine()
    performance: _Engine = _Engine()


class _Term(_Part):
    monitoring_start_time: AwareDatetime | None = None
    recommendation_engines: _Engines | None = None


class _Terms(_Part):
    short_term: _Term = _Term()
    medium_term: _Term = _Term()
    long_term: _Term = _Term()


class Recommendation(_Part):
    """One recommendation, as far as columns are made of it."""

    monitoring_end_time: AwareDatetime
    current: _Sides = _Sides()
    recommendation_terms: _Terms = _Terms()
