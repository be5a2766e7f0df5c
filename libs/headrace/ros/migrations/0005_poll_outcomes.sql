-- What came of the last request for a workload's recommendations: why there is none, or what was stored. A repeated or
-- late request changes nothing.
create table poll_outcomes (
    workload_id bigint primary key references workloads (id) on delete cascade,
    polled_at timestamptz not null,
    usage_end timestamptz not null,
    kind text not null,
    outcome text not null,
    minutes int,
    minutes_needed int
);

-- Lists of an organisation's workloads, the newest first.
create index workloads_org_id on workloads (org_id, id);
-- Lists of an organisation's clusters, the last that reported first, and so of what hangs on them.
create index clusters_tenant_reported on clusters (tenant_id, last_reported_at desc nulls last);
