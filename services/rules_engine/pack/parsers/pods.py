"""Pods, events and what containers run."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from insights.core.plugins import parser

from services.rules_engine.pack.parsers.documents import KubernetesObject, ObjectFile
from services.rules_engine.pack.reading import integer, mapping, name_at, objects, text
from services.rules_engine.pack.specs import Specs

_STATUSES: Final = ("initContainerStatuses", "containerStatuses")
_CONTAINERS: Final = ("initContainers", "containers")
_MAX_IMAGE_CHARACTERS: Final = 300
_MAX_MESSAGE_CHARACTERS: Final = 2_000


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """What a container of a pod is doing: ``state`` and ``last_state`` are as Kubernetes has them."""

    name: str
    restarts: int
    state: dict[str, Any]
    last_state: dict[str, Any]


@parser(Specs.pods)
class Pod(KubernetesObject):
    """``config/pod/NAMESPACE/NAME.json``; the operator gathers pods that are in trouble."""

    KIND = "Pod"

    @property
    def containers(self) -> Iterator[ContainerStatus]:
        """What its containers are doing."""
        for key in _STATUSES:
            for status in objects(self.data, "status", key):
                yield ContainerStatus(
                    name=name_at(status, "name"),
                    restarts=max(0, integer(status, "restartCount") or 0),
                    state=mapping(status, "state"),
                    last_state=mapping(status, "lastState"),
                )

    @property
    def images(self) -> Iterator[str]:
        """The images its containers ask for."""
        for key in _CONTAINERS:
            for container in objects(self.data, "spec", key):
                if image := text(container, "image", limit=_MAX_IMAGE_CHARACTERS):
                    yield image


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a namespace; the message is whole."""

    namespace: str
    reason: str
    message: str


@parser(Specs.events)
class Events(ObjectFile):
    """``events/NAMESPACE.json``."""

    @property
    def items(self) -> Iterator[Event]:
        """The events."""
        for one in objects(self.data, "items"):
            yield Event(
                name_at(one, "namespace"),
                text(one, "reason"),
                text(one, "message", limit=_MAX_MESSAGE_CHARACTERS),
            )


@parser(Specs.running_containers)
class RunningContainers(ObjectFile):
    """``config/running_containers.json``: images by their digest or, without one, by name."""

    @property
    def counts(self) -> dict[str, int]:
        """The number of running containers by image."""
        by_index: dict[str, int] = {}
        for month in mapping(self.data, "containers").values():
            for index in mapping(month):
                by_index[index] = by_index.get(index, 0) + max(0, integer(month, index) or 0)
        images = mapping(self.data, "images")
        named = ((text(images, index, limit=_MAX_IMAGE_CHARACTERS), index) for index in images)
        return {image: by_index.get(index, 0) for image, index in named if image}
