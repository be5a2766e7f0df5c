"""Critical alerts that fire."""

from collections import Counter
from typing import Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.monitoring import Alerts
from headrace.rules.reading import shown

ERROR_KEY: Final = "CRITICAL_ALERTS_FIRING"
GOOD_KEY: Final = "NO_CRITICAL_ALERTS"


@rule(Alerts, tags=["alerts", "service_availability"])
def report(alerts: Alerts) -> Response:
    """Hit when an alert of severity critical fires; one entry for each name and namespace."""
    critical = [alert for alert in alerts.firing if alert.severity == "critical"]
    warnings = sum(1 for alert in alerts.firing if alert.severity == "warning")
    if not critical:
        silenced = sum(1 for alert in alerts.silenced if alert.severity == "critical")
        return make_pass(GOOD_KEY, warnings=warnings, silenced=silenced)
    series = Counter((alert.name, alert.namespace) for alert in critical)
    since = {(alert.name, alert.namespace): shown(alert.since) for alert in reversed(critical)}
    found = [
        {"name": name, "namespace": namespace, "series": count, "since": since[name, namespace]}
        for (name, namespace), count in sorted(series.items())
    ]
    return make_fail(ERROR_KEY, **offenders("alerts", found, warnings=warnings))
