"""A version that is maintained no more."""

from typing import Any, Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rule_pack import lifecycle
from headrace.rules.parsers.cluster import ClusterVersion
from headrace.rules.parsers.gathered import GatheredAt

ERROR_KEY: Final = "VERSION_END_OF_LIFE"
GOOD_KEY: Final = "VERSION_MAINTAINED"
NEWER_KEY: Final = "VERSION_NEWER_THAN_KNOWN"


@rule(ClusterVersion, GatheredAt, tags=["version", "supportability"])
def report(version: ClusterVersion, gathered: GatheredAt) -> Response | None:
    """Hit when maintenance of the minor version ended before the gathering, or was never begun.

    A version newer than the table passes; one that is no version is not judged.
    """
    minor = lifecycle.minor_of(version.current)
    if minor is None:
        return None
    if minor < lifecycle.OLDEST:
        return make_fail(
            ERROR_KEY, version=version.current, maintenance_ended=None, extended_support_ends=None
        )
    if (cycle := lifecycle.TABLE.get(minor)) is None:
        return make_pass(NEWER_KEY, version=version.current, known_as_of=lifecycle.AS_OF.isoformat())
    details: dict[str, Any] = {
        "version": version.current,
        "extended_support_ends": cycle.extended_ends.isoformat() if cycle.extended_ends else None,
    }
    if gathered.moment.date() <= cycle.maintenance_ends:
        return make_pass(GOOD_KEY, maintenance_ends=cycle.maintenance_ends.isoformat(), **details)
    return make_fail(ERROR_KEY, maintenance_ended=cycle.maintenance_ends.isoformat(), **details)
