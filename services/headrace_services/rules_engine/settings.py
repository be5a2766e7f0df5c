"""The settings of rules_engine."""

import os
from typing import Final

from headrace.contracts.topics import DVO_RESULTS, OCP_RESULTS
from headrace.rules import SHIPPED_PACK
from headrace.runtime.settings import Settings, env

# One archive is in the worker; the others are being downloaded or published.
ARCHIVES_PER_WORKER: Final = 5
_PUBLISH_SECONDS: Final = 30.0


def available_cores() -> int:
    """Return the number of cores on which this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class RulesEngineSettings(Settings):
    """Settings of rules_engine."""

    packages: tuple[str, ...] = env(
        "RULES_ENGINE_PACKAGES",
        (SHIPPED_PACK,),
        (
            "JSON list of insights-core packages that are loaded with all their modules; EXTRA_PACKAGES "
            "(comma-separated) adds to it"
        ),
    )
    target_components: tuple[str, ...] = env(
        "RULES_ENGINE_TARGET_COMPONENTS",
        (),
        "JSON list of prefixes of the components to run, with their dependencies; empty: every loaded rule",
    )
    workers: int = env("RULES_ENGINE_WORKERS", 0, "number of processes that run rules; 0: one per core", ge=0)
    deadline_seconds: float = env(
        "RULES_ENGINE_DEADLINE_SECONDS",
        30.0,
        "time for the rules of one archive; after it their process is killed and the message dead-lettered",
        gt=0,
    )
    max_rss_bytes: int = env(
        "RULES_ENGINE_MAX_RSS_BYTES",
        512 << 20,
        "memory limit of each process that runs rules; an archive whose rules need more is dead-lettered",
        gt=0,
    )
    max_archive_bytes: int = env(
        "RULES_ENGINE_MAX_ARCHIVE_BYTES", 100 << 20, "largest accepted archive, compressed", gt=0
    )
    allowed_hosts: frozenset[str] = env(
        "RULES_ENGINE_ALLOWED_HOSTS",
        frozenset(),
        (
            "JSON list of `host` or `host:port` from which archives that another ingress announced may be "
            "fetched; Headrace's own S3 is always read with its own keys"
        ),
    )
    fetch_seconds: float = env(
        "RULES_ENGINE_FETCH_SECONDS", 60.0, "deadline of one fetch from these hosts", gt=0
    )
    results_topic: str = env("RULES_ENGINE_RESULTS_TOPIC", OCP_RESULTS.name, "topic of reports")
    workloads_topic: str = env(
        "RULES_ENGINE_WORKLOADS_TOPIC",
        DVO_RESULTS.name,
        "topic of recommendations for workloads, which your own rules may give; `none`: not sent",
    )
    workload_info_topic: str = env(
        "RULES_ENGINE_WORKLOAD_INFO_TOPIC",
        "",
        "topic for config/workload_info.json of each archive (images by workload); empty: not sent",
    )

    @property
    def worker_count(self) -> int:
        """The number of worker processes."""
        return self.workers or available_cores()

    @property
    def concurrency(self) -> int:
        """The number of concurrent archives that keep the workers busy."""
        return self.worker_count * ARCHIVES_PER_WORKER

    @property
    def attempt_seconds(self) -> float:
        """The deadline of one attempt, which includes the wait for archives that all reach their own deadline."""
        turns = ARCHIVES_PER_WORKER + 1
        return self.fetch_seconds + turns * self.deadline_seconds + _PUBLISH_SECONDS
