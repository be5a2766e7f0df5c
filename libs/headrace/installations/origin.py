"""The inputs from which simulated data is generated."""

import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.runtime.errors import ConfigurationError

DEFAULT_NOW: Final = datetime(2026, 8, 1, 10, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Origin:
    """Equal origins give equal data; ``now`` is the time at which the data claims to be created.

    Without a ``cluster_id`` one is derived from the seed.
    """

    seed: int = 1
    cluster_id: str | None = None
    org_id: str = LOCAL_ORG_ID
    now: datetime = DEFAULT_NOW

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            raise ConfigurationError(
                f"now is {self.now.isoformat()} without a time zone; expected a time zone"
            )
        if self.cluster_id is not None:
            _check_uuid(self.cluster_id)

    def cluster(self, number: int = 0) -> str:
        """Return the id of the cluster with that number; only the first is the given one."""
        if number == 0 and self.cluster_id is not None:
            return self.cluster_id
        return random_uuid(self.chooser(f"cluster {number}"))

    def chooser(self, purpose: str) -> random.Random:
        """Return a generator of its own for each purpose, so that one draw more does not shift the others."""
        return random.Random(f"{self.seed} {purpose}")  # noqa: S311 -- data for show, not secrets


def random_uuid(chooser: random.Random) -> str:
    """Return a version 4 UUID drawn from ``chooser``."""
    return str(uuid.UUID(int=chooser.getrandbits(128), version=4))


def _check_uuid(value: str) -> None:
    try:
        uuid.UUID(value)
    except ValueError as error:
        raise ConfigurationError(f"the cluster id is {value!r}; expected a UUID") from error
