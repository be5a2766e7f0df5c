"""When the archive was gathered."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from insights.core.exceptions import SkipComponent
from insights.core.plugins import combiner

from headrace.rules.parsers.cluster import ClusterOperator, ClusterVersion
from headrace.rules.parsers.documents import KubernetesObject
from headrace.rules.parsers.monitoring import ActiveAlerts, Metrics
from headrace.rules.parsers.nodes import Node
from headrace.rules.reading import newest, objects


@combiner([Metrics, ActiveAlerts, Node, ClusterOperator, ClusterVersion])
class GatheredAt:
    """The time of the gathering, which no file states: the newest time in the most reliable source.

    Monitoring stamps its samples during the gathering; alerts are renewed every minute; nodes report every five
    minutes; conditions of operators or of the version may be old. ``by_monitoring`` is True for the first two sources,
    whose clock is not the clock of a node that a rule judges.
    """

    def __init__(
        self,
        metrics: Metrics | None,
        alerts: ActiveAlerts | None,
        nodes: list[Node] | None,
        operators: list[ClusterOperator] | None,
        version: ClusterVersion | None,
    ) -> None:
        monitored = (metrics.newest if metrics else None) or (alerts.newest if alerts else None)
        self.by_monitoring = monitored is not None
        found = (
            monitored
            or newest(_times("lastHeartbeatTime", nodes or ()))
            or newest(_times("lastTransitionTime", [*(operators or ()), *([version] if version else ())]))
        )
        if found is None:
            raise SkipComponent("no file of the archive shows when it was gathered")
        self.moment: datetime = found


def _times(key: str, kubernetes_objects: Iterable[KubernetesObject]) -> Iterator[Any]:
    for one in kubernetes_objects:
        for condition in objects(one.excerpt, "status", "conditions"):
            yield condition.get(key)
