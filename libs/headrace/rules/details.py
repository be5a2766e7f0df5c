"""Details of bounded size, because insights-core drops a response of more than 65,535 characters."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from insights.core.plugins import Response, make_pass

from headrace.rules.parsers.documents import KubernetesObject

MAX_OFFENDERS: Final = 20


def offenders(name: str, found: Iterable[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return the first ``MAX_OFFENDERS`` findings under ``name``, the count of all, and ``more``."""
    everything = list(found)
    return {name: everything[:MAX_OFFENDERS], "count": len(everything), **more}


def pass_of_conditions(
    key: str, name: str, found: Sequence[KubernetesObject], *kinds: str
) -> Response | None:
    """Pass the objects that report one of the conditions as True or False, and count the others as ``untold``.

    Without any such object the rule gives no result: missing conditions are no sign of health.
    """
    told = sum(1 for one in found if any(one.condition(kind, "True", "False") for kind in kinds))
    return make_pass(key, **{name: told, "untold": len(found) - told}) if told else None
