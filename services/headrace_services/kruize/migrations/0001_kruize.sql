create table kruize_performance_profiles (
    name text primary key,
    profile_version double precision not null,
    profile json not null
);

create table kruize_experiments (
    id integer generated always as identity primary key,
    experiment_name text not null unique,
    experiment_id text not null,
    version text not null,
    cluster_name text not null,
    experiment_type text not null check (experiment_type in ('container', 'namespace')),
    mode text not null,
    target_cluster text not null,
    performance_profile text references kruize_performance_profiles (name),
    object_type text,
    object_name text,
    namespace text,
    -- trial_settings, recommendation_settings and slo as they were sent.
    settings json not null,
    created_at timestamptz not null default now()
);
create index kruize_experiments_performance_profile on kruize_experiments (performance_profile);

-- What has measurements: the containers of a workload, or the one namespace of a namespace experiment.
create table kruize_containers (
    id integer generated always as identity primary key,
    experiment integer not null references kruize_experiments (id) on delete cascade,
    name text not null,
    image text,
    unique (experiment, name)
);

-- One row an interval; `measurements` is a run of fixed-size chunks, one a container (services/headrace_services/kruize/packing.py).
-- There is no foreign key: it would lock the experiment's row for every record. An insert looks the experiment up, and
-- numbers are not given twice.
create table kruize_results (
    experiment integer not null,
    interval_end_time timestamptz not null,
    interval_start_time timestamptz not null,
    measurements bytea not null,
    primary key (experiment, interval_end_time, interval_start_time)
) partition by range (interval_end_time);

-- `extended_data` is the answer of /updateRecommendations as it was given, so of type json: byte for byte.
create table kruize_recommendations (
    experiment integer not null,
    interval_end_time timestamptz not null,
    extended_data json not null,
    updated_at timestamptz not null default now(),
    primary key (experiment, interval_end_time)
) partition by range (interval_end_time);
