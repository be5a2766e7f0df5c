-- Workloads of a payload whose further events are still to come. Recommendations are asked for once, after the last of
-- them: asked for earlier, they would miss the rest for a day.
create table deferred_asks (
    workload_id bigint primary key references workloads (id) on delete cascade,
    cluster_id bigint not null references clusters (id) on delete cascade,
    until timestamptz not null
);
create index deferred_asks_cluster_id on deferred_asks (cluster_id);
