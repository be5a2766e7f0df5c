"""The services in the content types of uploads that ingress accepts and the archiver copies by default."""

from collections.abc import Mapping
from typing import Final

# The archives of these services name a cluster, so the archiver can build their keys. The archives of the other
# services (advisor, tower, ansible and so on) name none and would be rejected; ARCHIVER_SERVICES can add a service with
# a key template that needs no cluster id.
ARCHIVED: Final = ("openshift", "ols", "ocm-assisted-chat", "rhos-lightspeed", "hccm", "assisted-installer")
# The services that upstream's ingress accepts in production.
ACCEPTED: Final = frozenset(ARCHIVED) | {
    "aap-billing-controller", "aap-event-driven-ansible", "advisor", "automation-hub", "compliance", "leapp-reporting",
    "malware-detection", "mkt", "pinakes", "playbook", "playbook-sat", "qpc", "resource-optimization", "rhv",
    "runtimes-java-general", "tasks", "tower", "xavier",
}  # fmt: skip

# Which services take up an upload for a service by its announcement, by their names in statuses: who is expected to
# report on it. The table of services has the same in its consumers.
CONSUMERS: Final[Mapping[str, frozenset[str]]] = {
    service: frozenset({"archiver"}) | more
    for service, more in {
        **dict.fromkeys(ARCHIVED, frozenset()),
        "hccm": frozenset({"koku"}),
        "openshift": frozenset({"rules-engine"}),
    }.items()
}
