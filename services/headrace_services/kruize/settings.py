"""The settings of Kruize."""

from typing import Final

from headrace.contracts.kruize import MAX_BULK_RECORDS
from headrace.runtime.settings import Settings, env

# Upstream's variables that are accepted without effect, with the reason.
WITHOUT_EFFECT: Final = {
    "KRUIZE_HTTP_THREAD_POOL_COUNT": "one event loop serves every request; PostgreSQL's pool bounds the work",
    "isROSEnabled": "remote monitoring is what there is",
    "local": "nothing here watches a cluster",
    "savetodb": "everything is stored",
}


class KruizeSettings(Settings):
    """Settings of Kruize, under upstream's names where upstream has them."""

    bulk_results_limit: int = env(
        "bulkresultslimit",
        MAX_BULK_RECORDS,
        "largest number of records in one `/updateResults`",
        gt=0,
        le=10_000,
    )
    plots: bool = env("plots", True, "include box plots in recommendations")
    retention_days: int = env(
        "deletepartitionsthreshold",
        16,
        "number of days that results and recommendations are kept",
        gt=0,
        le=3650,
    )
    max_body_bytes: int = env("KRUIZE_MAX_BODY_BYTES", 16 << 20, "largest request body in bytes", gt=0)
    max_containers: int = env(
        "KRUIZE_MAX_CONTAINERS", 100, "largest number of containers in one record", gt=0, le=1000
    )
    cached_experiments: int = env(
        "KRUIZE_CACHED_EXPERIMENTS", 10_000, "number of experiments that are cached between requests", gt=0
    )
