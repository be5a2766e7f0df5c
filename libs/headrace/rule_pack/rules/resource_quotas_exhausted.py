"""Namespaces whose quota is used up."""

from typing import Any, Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.monitoring import Alerts
from headrace.rules.parsers.pods import Events
from headrace.rules.reading import name_at

ERROR_KEY: Final = "RESOURCE_QUOTAS_EXHAUSTED"
GOOD_KEY: Final = "RESOURCE_QUOTAS_NOT_EXHAUSTED"
ALERTS: Final = ("KubeQuotaFullyUsed", "KubeQuotaExceeded")
_REFUSAL: Final = "exceeded quota: "


@rule([Alerts, Events], tags=["quotas", "service_availability"])
def report(alerts: Alerts | None, events: list[Events] | None) -> Response | None:
    """Hit when an alert on a full quota fires, or an event says that one refused something.

    Archives hold no quota itself; the alerts are the usual evidence.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in alerts.named(*ALERTS) if alerts else ():
        resource = name_at(one.labels, "resource")
        entry = {"namespace": one.namespace, "resource": resource, "evidence": one.name}
        found.setdefault((one.namespace, resource), entry)
    read = [item for file in events or () for item in file.items]
    for event in read:
        _, refused, quota = event.message.partition(_REFUSAL)
        if refused:
            name = quota.partition(",")[0][:253]
            entry = {"namespace": event.namespace, "resource": name, "evidence": "event"}
            found.setdefault((event.namespace, name), entry)
    if not found:
        return (
            make_pass(GOOD_KEY, alerts_read=alerts is not None, events=len(read)) if alerts or read else None
        )
    return make_fail(ERROR_KEY, **offenders("quotas", [found[key] for key in sorted(found)]))
