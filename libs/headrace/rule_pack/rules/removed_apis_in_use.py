"""Requests to APIs that a coming release no longer has."""

from typing import Any, Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.access import ApiRequestCounts
from headrace.rules.parsers.monitoring import Alert, Alerts

ERROR_KEY: Final = "REMOVED_APIS_IN_USE"
GOOD_KEY: Final = "NO_REMOVED_APIS_IN_USE"
ALERTS: Final = ("APIRemovedInNextReleaseInUse", "APIRemovedInNextEUSReleaseInUse")


@rule([ApiRequestCounts, Alerts], tags=["api", "upgrade"])
def report(counts: list[ApiRequestCounts] | None, alerts: Alerts | None) -> Response | None:
    """Hit when an alert on a removed API fires, or requests to one were counted; the most used first."""
    found: dict[str, dict[str, Any]] = {}
    counted = [use for file in counts or () for use in file.uses]
    for use in counted:
        if use.requests:
            entry = {"api": use.resource, "removed_in": use.removed_in, "requests": use.requests}
            found.setdefault(use.resource, entry)
    for alert in alerts.named(*ALERTS) if alerts else ():
        api = _api_of(alert)
        found.setdefault(api, {"api": api, "removed_in": "", "requests": None})
    if not found:
        seen = {"alerts_read": alerts is not None, "apis_counted": len(counted)}
        return make_pass(GOOD_KEY, **seen) if alerts or counted else None
    ordered = sorted(found.values(), key=lambda one: (-(one["requests"] or 0), one["api"]))
    return make_fail(ERROR_KEY, **offenders("apis", ordered))


def _api_of(alert: Alert) -> str:
    parts = (alert.labels.get(label, "") for label in ("resource", "version", "group"))
    return ".".join(part for part in parts if part)
