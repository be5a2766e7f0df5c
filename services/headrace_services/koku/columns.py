"""Recognises a ROS CSV by its header, if its kind is not known otherwise. No I/O."""

import re
from typing import Final

_BOM: Final = b"\xef\xbb\xbf"
_BOTH: Final = frozenset({"interval_start", "interval_end", "namespace"})
# The columns that only this kind has. ros_processor checks that all columns exist, and names missing ones.
_OWN: Final = {
    "container": frozenset({"container_name", "cpu_usage_container_avg", "memory_usage_container_avg"}),
    "namespace": frozenset({"cpu_usage_namespace_avg", "memory_usage_namespace_avg"}),
}
HEADER_BYTES: Final = 1 << 16
# Bytes that no text contains, but the header of a tar member, a zip archive and UTF-16 do.
_BINARY: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def is_binary(chunk: bytes) -> bool:
    """Return whether the bytes contain any that no CSV contains."""
    return _BINARY.search(chunk) is not None


def ros_kind(head: bytes) -> str | None:
    """Return ``container`` or ``namespace`` according to the first line of ``head``, None if it is not a ROS CSV."""
    if is_binary(head[:HEADER_BYTES]):
        return None
    line = head[:HEADER_BYTES].removeprefix(_BOM).split(b"\n", 1)[0]
    columns = {column.strip().strip('"') for column in line.decode(errors="replace").split(",")}
    return next((kind for kind, own in _OWN.items() if columns >= _BOTH | own), None)
