-- The newest report of each cluster, verbatim. Text, not jsonb: it is given back as it came, and jsonb refuses the
-- escape \u0000 that JSON allows. A cluster's row is also the lock under which all its other rows are written.
create table report (
    org_id bigint not null,
    cluster uuid not null,
    report text not null,
    reported_at timestamptz not null,
    last_checked_at timestamptz not null,
    gathered_at timestamptz,
    kafka_offset bigint not null default 0
);
-- Before the primary key: `on conflict (cluster)` looks for conflicts in the order in which indexes were made, and a
-- replica that inserts the same cluster at the same moment must be met here, where it is expected.
create unique index report_cluster on report (cluster);
alter table report add primary key (org_id, cluster);

-- rule_fqdn is the component, `.report` included; template_data is the hit's details, JSON.
create table rule_hit (
    cluster_id uuid not null,
    org_id bigint not null,
    rule_fqdn text not null,
    error_key text not null,
    template_data text not null,
    created_at timestamptz not null,
    primary key (cluster_id, org_id, rule_fqdn, error_key)
);

-- rule_fqdn without `.report`; rule_id is `rule_fqdn|error_key`.
create table recommendation (
    org_id bigint not null,
    cluster_id uuid not null,
    rule_fqdn text not null,
    error_key text not null,
    rule_id text not null,
    created_at timestamptz not null,
    impacted_since timestamptz not null,
    primary key (org_id, cluster_id, rule_fqdn, error_key)
);
create index recommendation_rule on recommendation (org_id, rule_id);

create table report_info (
    org_id bigint not null,
    cluster_id uuid not null unique,
    version_info text not null,
    primary key (org_id, cluster_id)
);

-- What users decide about a hit: of a cluster, of a whole organisation, by vote and by rating.
create table cluster_rule_toggle (
    cluster_id uuid not null,
    rule_id text not null,
    error_key text not null,
    org_id bigint not null,
    disabled smallint not null check (disabled in (0, 1)),
    disabled_at timestamptz,
    enabled_at timestamptz,
    updated_at timestamptz not null,
    primary key (cluster_id, rule_id, error_key)
);
create index cluster_rule_toggle_org on cluster_rule_toggle (org_id, rule_id, error_key);

create table rule_disable (
    org_id bigint not null,
    rule_id text not null,
    error_key text not null,
    user_id text,
    justification text not null default '',
    created_at timestamptz not null,
    updated_at timestamptz,
    primary key (org_id, rule_id, error_key)
);

create table cluster_rule_user_feedback (
    cluster_id uuid not null,
    rule_id text not null,
    user_id text not null,
    error_key text not null,
    org_id bigint not null,
    message text not null default '',
    user_vote smallint not null check (user_vote between -1 and 1),
    added_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (cluster_id, rule_id, user_id, error_key)
);

create table cluster_user_rule_disable_feedback (
    cluster_id uuid not null,
    user_id text not null,
    rule_id text not null,
    error_key text not null,
    org_id bigint not null,
    message text not null,
    added_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (cluster_id, user_id, rule_id, error_key)
);

create table advisor_ratings (
    org_id bigint not null,
    rule_fqdn text not null,
    error_key text not null,
    user_id text,
    rule_id text not null,
    rating smallint not null check (rating between -1 and 1),
    rated_at timestamptz not null,
    last_updated_at timestamptz not null,
    primary key (org_id, rule_fqdn, error_key)
);

-- Messages that could not be stored. The bytes themselves are in the dead-letter topic.
create table consumer_error (
    topic text not null,
    partition int not null,
    topic_offset bigint not null,
    key text,
    produced_at timestamptz not null,
    consumed_at timestamptz not null,
    message text not null,
    error text not null,
    primary key (topic, partition, topic_offset)
);

-- For tools that ask which form the tables have.
create table migration_info (version int not null);
insert into migration_info values (32);

-- Recommendations for workloads, by namespace. report is the namespace's part of the message; recommendations and
-- objects are counts; rule_hits_count is {"rule|KEY": count}.
create schema dvo;
-- When a cluster's workloads were last reported, also when none had a recommendation; the lock for its namespaces.
create table dvo.cluster (
    cluster_id uuid primary key,
    org_id bigint not null,
    last_checked_at timestamptz not null
);
create table dvo.dvo_report (
    org_id bigint not null,
    cluster_id uuid not null,
    namespace_id text not null,
    namespace_name text not null,
    report text not null,
    recommendations int not null,
    objects int not null,
    reported_at timestamptz not null,
    last_checked_at timestamptz not null,
    rule_hits_count jsonb not null,
    primary key (org_id, cluster_id, namespace_id)
);
create index dvo_report_cluster on dvo.dvo_report (cluster_id);
