"""An etcd that loses its leader."""

from typing import Any, Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.monitoring import Alerts, Metrics
from headrace.rules.reading import name_at, shown

ERROR_KEY: Final = "ETCD_LEADER_CHANGES"
GOOD_KEY: Final = "ETCD_LEADER_STABLE"
ALERTS: Final = ("etcdHighNumberOfLeaderChanges", "etcdNoLeader")


@rule(Alerts, optional=[Metrics], tags=["etcd", "performance"])
def report(alerts: Alerts, metrics: Metrics | None) -> Response:
    """Hit when an alert on etcd's leader fires.

    Archives hold no counter of leader changes; since OpenShift 4.16 they hold the slow applies of each member,
    the usual cause, which the details give.
    """
    firing = alerts.named(*ALERTS)
    if not firing:
        return make_pass(GOOD_KEY, alerts=len(alerts.firing), silenced=len(alerts.silenced))
    found = [
        {"name": one.name, "member": name_at(one.labels, "pod"), "since": shown(one.since)} for one in firing
    ]
    return make_fail(ERROR_KEY, **offenders("alerts", found, slow_applies=_slow_applies(metrics)))


def _slow_applies(metrics: Metrics | None) -> list[dict[str, Any]]:
    if metrics is None:
        return []
    counted = {
        name_at(sample.labels, "pod"): int(sample.value)
        for sample in metrics.of("etcd_server_slow_apply_total")
        if 0 <= sample.value < 2**53
    }
    ordered = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    slow: list[dict[str, Any]] = [{"member": member, "count": count} for member, count in ordered]
    return slow[:9]
