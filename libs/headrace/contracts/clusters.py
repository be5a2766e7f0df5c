"""The names of clusters. No I/O."""

import re
import uuid
from typing import Final, Literal

# `uuid.UUID` accepts underscores, braces and misplaced hyphens. A stricter pattern ensures that two readers of one text
# never find two clusters.
_UUID: Final = re.compile(
    r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE | re.ASCII
)


def is_cluster_uuid(text: str) -> bool:
    """Return whether the text is a UUID, in either case, with or without all its hyphens."""
    return _UUID.fullmatch(text) is not None


def owned_name(cluster_id: str) -> str:
    """Return the form in which a cluster's owner is stored: lower case, a UUID with its hyphens."""
    name = cluster_id.lower()
    digits = name.replace("-", "")
    if not is_cluster_uuid(digits):
        return name
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def local_cluster_id(org_id: str, *, of: Literal["bare-csv", "an-archive-that-names-none"]) -> str:
    """Return the local shape's cluster of uploads that name none, one for each organisation and service."""
    return str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, f"headrace:cluster-of-{of}"), org_id))
