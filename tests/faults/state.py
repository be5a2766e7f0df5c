"""What the flow left behind, without surrogate ids and the moments of writing: equal for equal effects."""

import hashlib
import json

import asyncpg

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace_services.kruize import packing

# By database: statements whose rows are the state.
QUERIES = {
    "archiver": {
        "archives": "select source, etag, request_id, org_id, service, cluster_id, bucket, size_bytes,"
        " copied_at is not null, published_at is not null from archives",
    },
    "aggregator": {
        # When the rules ran stands in the report too.
        "reports": "select org_id, cluster, report::jsonb - 'analysis_metadata', last_checked_at, gathered_at"
        " from report",
        "hits": "select org_id, cluster_id, rule_fqdn, error_key, template_data from rule_hit",
        "recommendations": "select org_id, cluster_id, rule_fqdn, error_key, rule_id from recommendation",
    },
    "postgres": {
        "clusters": "select c.source_id, c.cluster_uuid, c.cluster_alias, a.org_id from clusters c"
        " join rh_accounts a on a.id = c.tenant_id",
        "workloads": "select org_id, experiment_name, namespace, workload_type, workload_name, containers"
        " from workloads",
        "metrics": "select w.experiment_name, m.container_name, m.namespace_name, m.metric_type,"
        " m.interval_start, m.interval_end, m.usage_metrics from workload_metrics m"
        " join workloads w on w.id = m.workload_id",
        "advice": "select w.experiment_name, r.container_name, r.monitoring_end_time, r.recommendations"
        " from recommendation_sets r join workloads w on w.id = r.workload_id",
        "advice of namespaces": "select w.experiment_name, r.monitoring_end_time, r.recommendations"
        " from namespace_recommendation_sets r join workloads w on w.id = r.workload_id",
        "history": "select w.experiment_name, r.container_name, r.monitoring_end_time, r.recommendations"
        " from historical_recommendation_sets r join workloads w on w.id = r.workload_id",
    },
    "kruize": {
        "experiments": "select experiment_name, cluster_name, experiment_type from kruize_experiments",
        "results": "select e.experiment_name, r.interval_start_time, r.interval_end_time, e.experiment_type,"
        " r.measurements"
        " from kruize_results r join kruize_experiments e on e.id = r.experiment",
    },
}
# What a single run and a run with faults may have written under other keys: a time is part of them.
BUCKETS = {"insights-archives": False, "ros-data": True}


async def rows_of(postgres, database, statement):
    """Every row as text, sorted."""
    connection = await asyncpg.connect(postgres.rpartition("/")[0] + f"/{database}")
    try:
        rows = await connection.fetch(statement)
    finally:
        await connection.close()
    return sorted(repr(_told(row)) for row in rows)


def _told(row):
    """The row's values; of packed measurements without the containers' numbers, which are surrogates."""
    values = tuple(row.values())
    if not isinstance(values[-1], bytes):
        return values
    *others, kind, packed = values
    step = len(packing.chunk(0, b"")) + packing._BODIES[kind].size
    return (*others, sorted(packed[at + 4 : at + step].hex() for at in range(0, len(packed), step)))


async def objects_of(settings, bucket, *, keys):
    """Every object as (request id or key, ETag), sorted."""
    store = await ObjectStore.open(S3Endpoint.of(settings))
    try:
        items = [item async for item in store.list(bucket)]
        if keys:
            return sorted(f"{item.key} {item.etag}" for item in items)
        infos = [await store.head(bucket, item.key) for item in items]
        return sorted(f"{info.metadata.get('requestid')} {info.etag}" for info in infos)
    finally:
        await store.close()


async def state_of(settings):
    """Parts by name, each a sorted list of texts."""
    found = {}
    for database, queries in QUERIES.items():
        for name, statement in queries.items():
            found[f"{database}: {name}"] = await rows_of(settings.postgres, database, statement)
    for bucket, keys in BUCKETS.items():
        found[f"s3: {bucket}"] = await objects_of(settings, bucket, keys=keys)
    return found


def digest_of(state):
    """One hash of all parts."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16]


def differences(expected, found):
    """What is missing or too much, a line each; the first few of every part."""
    lines = []
    for name, rows in expected.items():
        missing, extra = set(rows) - set(found[name]), set(found[name]) - set(rows)
        lines += [f"{name}: missing {row[:300]}" for row in sorted(missing)[:3]]
        lines += [f"{name}: too much {row[:300]}" for row in sorted(extra)[:3]]
        if len(rows) != len(found[name]):
            lines.append(f"{name}: {len(found[name])} rows, expected {len(rows)}")
    return lines
