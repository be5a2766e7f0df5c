"""Parsers of the cluster as a whole: its version, its operators, its image registry."""

from typing import Any, Final

from insights.core.plugins import parser

from headrace.rules.parsers.documents import KubernetesObject, ObjectHead, Status
from headrace.rules.reading import mapping, objects, text
from headrace.rules.specs import Specs

_MAX_VERSION_CHARACTERS: Final = 64


class _VersionStatus(Status, total=False):
    desired: Any
    history: Any


class _VersionExcerpt(ObjectHead, total=False):
    status: _VersionStatus


class _RegistryExcerpt(ObjectHead, total=False):
    spec: Any
    status: Status


@parser(Specs.cluster_version)
class ClusterVersion(KubernetesObject):
    """``config/version.json``."""

    KIND = "ClusterVersion"
    EXCERPT = _VersionExcerpt

    @property
    def desired(self) -> str:
        """The version to which the cluster is to be updated."""
        return text(self.excerpt, "status", "desired", "version", limit=_MAX_VERSION_CHARACTERS)

    @property
    def current(self) -> str:
        """The installed version: that of the newest completed update, else the desired one."""
        for update in objects(self.excerpt, "status", "history"):
            if update.get("state") == "Completed" and (version := text(update, "version", limit=64)):
                return version
        return self.desired


@parser(Specs.cluster_operators)
class ClusterOperator(KubernetesObject):
    """``config/clusteroperator/NAME.json``; the oldest archives contain other objects in the same folder."""

    KIND = "ClusterOperator"


@parser(Specs.image_registry)
class ImageRegistry(KubernetesObject):
    """The image registry operator's configuration."""

    KIND = "Config"
    EXCERPT = _RegistryExcerpt

    @property
    def management_state(self) -> str:
        """Managed, Unmanaged or Removed."""
        return text(self.excerpt, "spec", "managementState")

    @property
    def storage(self) -> dict[str, Any]:
        """The configured storage by its kind; empty if none is configured."""
        configured = mapping(self.excerpt, "spec", "storage")
        return {kind: value for kind, value in configured.items() if kind != "managementState"}
