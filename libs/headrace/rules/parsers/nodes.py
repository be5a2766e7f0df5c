"""Parsers of nodes and of the pools that configure them."""

from datetime import datetime
from typing import Any, Final, TypedDict

from insights.core.plugins import parser

from headrace.rules.parsers.documents import KubernetesObject, ObjectHead
from headrace.rules.reading import at, mapping, newest, objects
from headrace.rules.specs import Specs

_ROLE: Final = "node-role.kubernetes.io/"
_MAX_ROLES: Final = 8


class _PoolSpec(TypedDict, total=False):
    paused: Any


class _PoolStatus(TypedDict, total=False):
    conditions: Any
    machineCount: Any
    updatedMachineCount: Any
    degradedMachineCount: Any


class _PoolExcerpt(ObjectHead, total=False):
    spec: _PoolSpec
    status: _PoolStatus


@parser(Specs.nodes)
class Node(KubernetesObject):
    """``config/node/NAME.json``."""

    KIND = "Node"

    @property
    def roles(self) -> list[str]:
        """The roles of the node, from its labels."""
        labels = mapping(self.excerpt, "metadata", "labels")
        found = (label.removeprefix(_ROLE)[:63] for label in labels if label.startswith(_ROLE))
        return sorted(found)[:_MAX_ROLES]

    @property
    def newest_heartbeat(self) -> datetime | None:
        """The newest time, by the node's clock, at which the node reported a condition."""
        return newest(one.get("lastHeartbeatTime") for one in objects(self.excerpt, "status", "conditions"))


@parser(Specs.machine_config_pools)
class MachineConfigPool(KubernetesObject):
    """``config/machineconfigpools/NAME.json``."""

    KIND = "MachineConfigPool"
    EXCERPT = _PoolExcerpt

    @property
    def paused(self) -> bool | None:
        """Whether updates of its machines are paused; None if the pool does not say."""
        found = at(self.excerpt, "spec", "paused")
        return found if isinstance(found, bool) else None
