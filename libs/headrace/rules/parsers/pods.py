"""Parsers of pods, events and the images of running containers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from insights.core.plugins import parser

from headrace.rules.parsers.documents import KubernetesObject, ObjectFile, ObjectHead
from headrace.rules.reading import integer, mapping, name_at, objects, text
from headrace.rules.specs import Specs

_STATUSES: Final = ("initContainerStatuses", "containerStatuses")
_STATES: Final = ("state", "lastState")
_CONTAINERS: Final = ("initContainers", "containers")
MAX_IMAGE_CHARACTERS: Final = 300
_MAX_MESSAGE_CHARACTERS: Final = 2_000


class _Container(TypedDict, total=False):
    image: Any


class _PodSpec(TypedDict, total=False):
    initContainers: list[_Container] | None
    containers: list[_Container] | None


class _ContainerStatus(TypedDict, total=False):
    name: Any
    restartCount: Any
    state: Any
    lastState: Any


class _PodStatus(TypedDict, total=False):
    initContainerStatuses: list[_ContainerStatus] | None
    containerStatuses: list[_ContainerStatus] | None


class _PodExcerpt(ObjectHead, total=False):
    spec: _PodSpec
    status: _PodStatus


class ContainerStatus:
    """The status of one container of a pod; values are read on demand."""

    __slots__ = ("_found",)

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    @property
    def name(self) -> str:
        """The container's name in its pod."""
        return name_at(self._found, "name")

    @property
    def restarts(self) -> int:
        """The number of restarts."""
        return max(0, integer(self._found, "restartCount") or 0)

    @property
    def waits_for(self) -> str:
        """The reason why the container waits; empty if it does not wait."""
        return text(self._found, "state", "waiting", "reason")

    @property
    def ends(self) -> Iterator[dict[str, Any]]:
        """The terminated states, the present one and the previous one, in Kubernetes' form; at most two."""
        for key in _STATES:
            if ended := mapping(self._found, key, "terminated"):
                yield ended

    @property
    def last_end(self) -> dict[str, Any]:
        """The previous terminated state, in Kubernetes' form; empty if there is none."""
        return mapping(self._found, "lastState", "terminated")


@parser(Specs.pods)
class Pod(KubernetesObject):
    """``config/pod/NAMESPACE/NAME.json``; the operator gathers pods with problems."""

    KIND = "Pod"
    EXCERPT = _PodExcerpt

    troubled: list[ContainerStatus]
    """The containers that do not run, or that ended before."""

    def parse_content(self, content: Any) -> None:
        """Read the file's bytes, or its lines."""
        super().parse_content(content)
        status = mapping(self.excerpt, "status")
        self.troubled = [
            ContainerStatus(one)
            for key in _STATUSES
            if key in status
            for one in objects(status, key)
            if one.get("lastState") or "running" not in mapping(one, "state")
        ]

    @property
    def tells(self) -> bool:
        """Whether the pod has statuses of containers; a pod without a node has none."""
        status = mapping(self.excerpt, "status")
        return any(objects(status, key) for key in _STATUSES)

    @property
    def images(self) -> list[str]:
        """The images in the containers' specifications, unchanged."""
        spec = mapping(self.excerpt, "spec")
        return [
            image
            for key in _CONTAINERS
            if key in spec
            for one in objects(spec, key)
            if isinstance(image := one.get("image"), str)
        ]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a namespace, with its whole message."""

    namespace: str
    reason: str
    message: str


@parser(Specs.events)
class Events(ObjectFile):
    """``events/NAMESPACE.json``."""

    @property
    def items(self) -> Iterator[Event]:
        """The events."""
        for one in objects(self.excerpt, "items"):
            yield Event(
                name_at(one, "namespace"),
                text(one, "reason"),
                text(one, "message", limit=_MAX_MESSAGE_CHARACTERS),
            )


@parser(Specs.running_containers)
class RunningContainers(ObjectFile):
    """``config/running_containers.json``: images by digest or, without one, by name."""

    @property
    def counts(self) -> dict[str, int]:
        """The number of running containers by image."""
        by_index: dict[str, int] = {}
        for month in mapping(self.excerpt, "containers").values():
            for index in mapping(month):
                by_index[index] = by_index.get(index, 0) + max(0, integer(month, index) or 0)
        images = mapping(self.excerpt, "images")
        named = ((text(images, index, limit=MAX_IMAGE_CHARACTERS), index) for index in images)
        return {image: by_index.get(index, 0) for image, index in named if image}
