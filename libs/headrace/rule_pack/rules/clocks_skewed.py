"""Clocks that disagree."""

from datetime import timedelta
from typing import Any, Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.gathered import GatheredAt
from headrace.rules.parsers.monitoring import Alerts
from headrace.rules.parsers.nodes import Node
from headrace.rules.reading import name_at, shown

ERROR_KEY: Final = "CLOCKS_SKEWED"
GOOD_KEY: Final = "CLOCKS_AGREE"
ALERTS: Final = ("NodeClockNotSynchronising", "NodeClockSkewDetected")
# Gathering takes minutes, and the nodes may be read after the metrics.
TOLERANCE: Final = timedelta(minutes=15)


@rule([Alerts, Node], optional=[GatheredAt], tags=["nodes", "time"])
def report(alerts: Alerts | None, nodes: list[Node] | None, gathered: GatheredAt | None) -> Response | None:
    """Hit when an alert on a node's clock fires, or a node reported from the future.

    A report of the past is no sign: a kubelet may have stopped. Without alerts, and without a clock beside the
    nodes' own, nothing can be compared.
    """
    found: list[dict[str, Any]] = [
        {"node": name_at(one.labels, "instance"), "evidence": one.name, "ahead_seconds": None}
        for one in (alerts.named(*ALERTS) if alerts else ())
    ]
    compared = 0
    if gathered is not None and gathered.by_monitoring:
        for node in nodes or ():
            beat = node.newest_heartbeat
            compared += beat is not None
            if beat is not None and beat - gathered.moment > TOLERANCE:
                ahead = int((beat - gathered.moment).total_seconds())
                found.append(
                    {"node": node.name, "evidence": f"heartbeat {shown(beat)}", "ahead_seconds": ahead}
                )
    if not found:
        return (
            make_pass(GOOD_KEY, alerts_read=alerts is not None, nodes=compared)
            if alerts or compared
            else None
        )
    return make_fail(ERROR_KEY, **offenders("nodes", sorted(found, key=lambda one: one["node"])))
