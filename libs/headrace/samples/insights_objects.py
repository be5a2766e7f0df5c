"""Kubernetes objects in the form of cluster archives."""

from datetime import datetime, timedelta
from typing import Any

from headrace.installations.origin import random_uuid
from headrace.samples.options import SampleOptions


class ObjectMaker:
    """Creates objects and their conditions; each purpose has its own generator of ids."""

    def __init__(self, options: SampleOptions, purpose: str) -> None:
        self.now = options.now
        self.created = options.now - timedelta(days=90)
        self.chooser = options.chooser(purpose)

    def made(self, group: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
        """Return an object of an OpenShift group, or of Kubernetes if the group is empty."""
        version = f"{group}.openshift.io/v1" if group else "v1"
        metadata = {
            "name": name,
            "uid": random_uuid(self.chooser),
            "resourceVersion": str(self.chooser.randrange(10_000, 2_000_000)),
            "creationTimestamp": seconds(self.created),
        }
        metadata |= rest.pop("metadata", {})
        return {"kind": kind, "apiVersion": version, "metadata": metadata, "spec": {}, **rest}

    def condition(
        self, kind: str, status: str, reason: str = "AsExpected", message: str = ""
    ) -> dict[str, str]:
        """Return a condition whose last transition was five hours ago."""
        return {
            "type": kind,
            "status": status,
            "lastTransitionTime": seconds(self.now - timedelta(hours=5)),
            "reason": reason,
            "message": message,
        }


def seconds(when: datetime) -> str:
    """Return a time as Kubernetes writes it."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
