"""The Kubernetes objects that segment_bridge reads: users and their namespaces; equal for equal seeds."""

import random
from collections.abc import Iterator
from typing import Any

from headrace.installations.origin import random_uuid

GROUP = "toolchain.dev.openshift.com"


def user_name(number: int) -> str:
    """Return the name of a user; the first is ``user1``."""
    return f"user{number}"


def user_signups(count: int, *, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield the UserSignups of ``user1`` to ``user<count>``, in the form of the host cluster's API."""
    chooser = random.Random(f"{seed} user signups")  # noqa: S311 -- data for show, not secrets
    for number in range(1, count + 1):
        name, sso_id = user_name(number), str(10_000_000 + chooser.randrange(80_000_000))
        yield {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "UserSignup",
            "metadata": {
                "name": name,
                "namespace": "toolchain-host-operator",
                "uid": random_uuid(chooser),
                "resourceVersion": str(1000 + number),
                "annotations": {
                    f"{GROUP}/activation-counter": "1",
                    f"{GROUP}/last-target-cluster": "member-simulated-m01",
                    f"{GROUP}/sso-account-id": sso_id,
                    f"{GROUP}/sso-user-id": sso_id,
                    f"{GROUP}/user-email": f"{name}@example.com",
                    f"{GROUP}/verification-counter": "0",
                },
                "labels": {
                    f"{GROUP}/email-hash": f"{chooser.getrandbits(128):032x}",
                    f"{GROUP}/state": "approved",
                },
            },
            "spec": {
                "states": ["approved"],
                "userid": f"f:{random_uuid(chooser)}:{name}",
                "username": name,
            },
            "status": {"compliantUsername": name},
        }


def tenant_namespaces(users: int) -> Iterator[dict[str, Any]]:
    """Yield a tenant's namespace for each user, and one namespace that belongs to no tenant."""
    for number in range(1, users + 1):
        name = user_name(number)
        labels = {f"{GROUP}/type": "tenant", f"{GROUP}/space": name, f"{GROUP}/owner": name}
        yield _namespace(f"{name}-tenant", labels)
        yield _namespace(f"openshift-part-{number}", {"kubernetes.io/metadata.name": f"part-{number}"})


def _namespace(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "status": {"phase": "Active"}}
