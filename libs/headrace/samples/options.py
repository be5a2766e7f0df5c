import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.runtime.errors import ConfigurationError

DEFAULT_NOW = datetime(2026, 8, 1, 10, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """What a sample is made from; equal options give equal bytes.

    ``now`` is the moment the archive pretends to be made; ``clusters``, ``workloads`` and ``days`` (before
    ``now``) scale the cost archives. Without a ``cluster_id`` one is derived from the seed.
    """

    seed: int = 1
    cluster_id: str | None = None
    org_id: str = LOCAL_ORG_ID
    clusters: int = 1
    workloads: int = 8
    days: int = 1
    now: datetime = DEFAULT_NOW

    def __post_init__(self) -> None:
        for name in ("clusters", "workloads", "days"):
            if (value := getattr(self, name)) < 1:
                raise ConfigurationError(f"{name} is {value}; expected at least 1")
        if self.now.tzinfo is None:
            raise ConfigurationError(f"now is {self.now.isoformat()} without a zone; expected one")
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
