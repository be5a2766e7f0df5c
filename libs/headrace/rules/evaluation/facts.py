"""The facts that the service itself reads from an archive, beside the rules."""

import json
from dataclasses import dataclass

from headrace.contracts.clusters import is_cluster_uuid
from headrace.rules.evaluation.tree import Tree

_UUID_CHARACTERS = 36


@dataclass(frozen=True)
class Facts:
    """The origin of an archive; paths are those of an Insights Operator archive."""

    cluster_id: str | None
    """The first 36 characters of config/id, if they are a UUID."""
    hypershift: bool
    """Whether config/infrastructure.json exists; upstream's metrics distinguish kinds of archives by it."""
    workload_info: bytes | None
    """The unchanged content of config/workload_info.json."""
    remote_configuration_version: str | None
    """The version in insights-operator/remote-configuration.json: "None" if the file names none, None without a file.
    """


def facts_of(tree: Tree) -> Facts:
    """Read the facts."""
    return Facts(
        cluster_id=_cluster_id(tree.read("config/id")),
        hypershift=tree.read("config/infrastructure.json") is not None,
        workload_info=tree.read("config/workload_info.json"),
        remote_configuration_version=_version(tree.read("insights-operator/remote-configuration.json")),
    )


def _cluster_id(content: bytes | None) -> str | None:
    text = (content or b"").decode(errors="replace")[:_UUID_CHARACTERS]
    return text if len(text) == _UUID_CHARACTERS and is_cluster_uuid(text) else None


def _version(content: bytes | None) -> str | None:
    if content is None:
        return None
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return str(document["version"]) if isinstance(document, dict) and "version" in document else "None"
