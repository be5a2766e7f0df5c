"""Containers that start, fail and start again."""

from typing import Any, Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.pods import Pod
from headrace.rules.reading import integer, text

ERROR_KEY: Final = "PODS_CRASH_LOOPING"
GOOD_KEY: Final = "PODS_NOT_CRASH_LOOPING"


@rule(Pod, tags=["pods", "service_availability"])
def report(pods: list[Pod]) -> Response | None:
    """Hit when a container waits in CrashLoopBackOff; the most restarted first."""
    found: list[dict[str, Any]] = [
        {
            "namespace": pod.namespace,
            "pod": pod.name,
            "container": container.name,
            "restarts": container.restarts,
            "exit_code": integer(container.last_end, "exitCode"),
            "reason": text(container.last_end, "reason"),
        }
        for pod in pods
        for container in pod.troubled
        if container.waits_for == "CrashLoopBackOff"
    ]
    if not found:
        told = sum(1 for pod in pods if pod.tells)
        return make_pass(GOOD_KEY, pods=told, untold=len(pods) - told) if told else None
    found.sort(key=lambda one: (-one["restarts"], one["namespace"], one["pod"], one["container"]))
    return make_fail(ERROR_KEY, **offenders("containers", found))
