"""Containers that were killed for their memory."""

from typing import Any, Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.pods import ContainerStatus, Pod
from headrace.rules.reading import moment, shown, text

ERROR_KEY: Final = "PODS_OOM_KILLED"
GOOD_KEY: Final = "PODS_NOT_OOM_KILLED"


@rule(Pod, tags=["pods", "memory", "performance"])
def report(pods: list[Pod]) -> Response | None:
    """Hit when a container's present or last end has the reason OOMKilled; the most restarted first."""
    found: list[dict[str, Any]] = [
        {
            "namespace": pod.namespace,
            "pod": pod.name,
            "container": container.name,
            "restarts": container.restarts,
            "killed_at": killed,
        }
        for pod in pods
        for container in pod.troubled
        if (killed := _killed_at(container)) is not None
    ]
    if not found:
        told = sum(1 for pod in pods if pod.tells)
        return make_pass(GOOD_KEY, pods=told, untold=len(pods) - told) if told else None
    found.sort(key=lambda one: (-one["restarts"], one["namespace"], one["pod"], one["container"]))
    return make_fail(ERROR_KEY, **offenders("containers", found))


def _killed_at(container: ContainerStatus) -> str | None:
    for end in container.ends:
        if text(end, "reason") == "OOMKilled":
            return shown(moment(end, "finishedAt")) or ""
    return None
