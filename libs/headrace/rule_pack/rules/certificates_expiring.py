"""Ingress certificates near their end or past it."""

from datetime import timedelta
from typing import Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.access import IngressCertificates
from headrace.rules.parsers.gathered import GatheredAt
from headrace.rules.reading import shown

ERROR_KEY: Final = "CERTIFICATES_EXPIRING"
GOOD_KEY: Final = "CERTIFICATES_VALID"
NEAR: Final = timedelta(days=30)


@rule(IngressCertificates, GatheredAt, tags=["certificates", "security"])
def report(ingress: IngressCertificates, gathered: GatheredAt) -> Response | None:
    """Hit when a certificate ends within 30 days of the gathering; the nearest end first.

    Where no certificate tells its end there is nothing to judge.
    """
    dated = list(ingress.certificates)
    ending = [one for one in dated if one.expires - gathered.moment <= NEAR]
    if not dated:
        return None
    if not ending:
        untold = len(ingress.excerpt or ()) - len(dated)
        return make_pass(GOOD_KEY, certificates=len(dated), untold=untold)
    ending.sort(key=lambda one: (one.expires, one.namespace, one.name))
    found = [
        {
            "namespace": one.namespace,
            "name": one.name,
            "expires": shown(one.expires),
            "days_left": (one.expires - gathered.moment).days,
            "expired": one.expires <= gathered.moment,
        }
        for one in ending
    ]
    return make_fail(ERROR_KEY, **offenders("certificates", found))
