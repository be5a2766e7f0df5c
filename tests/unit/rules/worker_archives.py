"""Archives that bid the rules of `worker_pack` do something."""

from typing import Any

from headrace.rules.evaluation import RulesConfig
from headrace.rules.workers.pool import WorkerPool
from tests.unit.rules.evaluation_archives import tar

PACK = "tests.unit.rules.worker_pack"
CLUSTER = "11111111-2222-4333-8444-555555555555"
CONFIG = RulesConfig((f"{PACK}.rules",), target_components=(f"{PACK}.rules",))


def bidding(*words: object, cluster: Any = CLUSTER, **files: bytes) -> bytes:
    bid = " ".join(map(str, words)).encode()
    ids = {"config/id": cluster.encode()} if cluster else {}
    return tar({"behaviour/bid.txt": bid} | ids | files)


def at_work(pool: WorkerPool, count: int) -> bool:
    """Whether so many workers have an archive."""
    return sum(worker.busy for worker in pool._workers) >= count
