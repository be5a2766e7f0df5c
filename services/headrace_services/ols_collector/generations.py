"""The differences between the generations of collectors, one row for each."""

from dataclasses import dataclass
from typing import Final

MIB: Final = 1 << 20
CHUNK_LIMIT_BYTES: Final = 100 * MIB
MARKER: Final = "openshift_lightspeed.json"
CONTROL_FILE: Final = "disable_collector"


@dataclass(frozen=True)
class Kind:
    """A directory of data files, which are exactly ``depth`` directories below it; None: at any depth."""

    directory: str
    depth: int | None


@dataclass(frozen=True)
class Generation:
    """The properties of one generation.

    ``content_type`` is that of the part; with ``marker`` an empty last member names the archive's owner.
    ``storage_limit_bytes`` limits the data on disk. With ``lives_on`` SIGTERM is followed by one more collection, and
    directories that stay empty are deleted.
    """

    content_type: str
    file_name: str
    kinds: tuple[Kind, ...]
    storage_limit_bytes: int
    marker: bool = False
    lives_on: bool = False


KINDS: Final = (Kind("feedback", 0), Kind("transcripts", 2), Kind("config", 0))

GENERATIONS: Final = {
    1: Generation("application/vnd.redhat.openshift.periodic+tar", "ols.tgz", KINDS, 100 * MIB, marker=True),
    2: Generation("application/vnd.redhat.ols.periodic+tar", "ols.tgz", KINDS, 100 * MIB),
    3: Generation(
        "application/vnd.redhat.{service_id}.periodic+tar",
        "lightspeed-assistant.tgz",
        (Kind("", None),),
        200 * MIB,
        lives_on=True,
    ),
}
