-- One row for each end of an installation attempt: what became of its archive.
create table sendings (
    id bigint generated always as identity primary key,
    cluster_id text not null,
    install_started_at timestamptz not null,
    outcome text not null check (outcome in ('installed', 'cancelled', 'error')),
    request_id text not null,
    state text not null default 'waiting'
        check (state in ('waiting', 'sending', 'sent', 'skipped', 'given_up', 'exported')),
    reason text not null default '',
    attempts integer not null default 0,
    -- Those that said something of this cluster, rather than of an endpoint that was away.
    failures integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    first_seen_at timestamptz not null default now(),
    ended_at timestamptz,
    -- The last time an endpoint took it, whatever became of it afterwards.
    sent_at timestamptz,
    content_sha256 text,
    size_bytes bigint,
    hosts integer,
    events integer,
    unique (cluster_id, install_started_at, outcome)
);
create index on sendings (next_attempt_at) where state in ('waiting', 'sending');

-- The one row says since when this service looks at that database.
create table watching (
    source text primary key,
    since timestamptz not null default now()
);

create table opt_outs (
    cluster_id text primary key,
    since timestamptz not null default now()
);
