"""The services in the content types of uploads, as ingress and archiver know them unless a setting says otherwise."""

from typing import Final

# Their archives name a cluster, so the archiver can copy them. Of the other accepted ones (advisor, tower, ansible and
# so on) none does, so that each of their uploads would be rejected there; ARCHIVER_SERVICES can take them in with a key
# template that needs no cluster id.
ARCHIVED: Final = ("openshift", "ols", "ocm-assisted-chat", "rhos-lightspeed", "hccm", "assisted-installer")
# What upstream's ingress accepts in production.
ACCEPTED: Final = frozenset(ARCHIVED) | {
    "aap-billing-controller", "aap-event-driven-ansible", "advisor", "automation-hub", "compliance", "leapp-reporting",
    "malware-detection", "mkt", "pinakes", "playbook", "playbook-sat", "qpc", "resource-optimization", "rhv",
    "runtimes-java-general", "tasks", "tower", "xavier",
}  # fmt: skip
