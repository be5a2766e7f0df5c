-- One row an archived upload. ``source`` and ``etag`` are the natural key: the same bytes under the same name are
-- archived once. A key is claimed before it is written to, so that a redelivery goes on where it was.
create table archives (
    id bigint generated always as identity primary key,
    source text not null,
    etag text not null,
    request_id text not null,
    org_id text not null,
    service text not null,
    cluster_id text not null,
    endpoint text not null,
    bucket text not null,
    key text not null,
    size_bytes bigint not null,
    claimed_at timestamptz not null default now(),
    copied_at timestamptz,
    published_at timestamptz,
    unique (source, etag),
    unique (endpoint, bucket, key)
);
create index archives_request_id on archives (request_id);

-- The last position taken of each series of keys, so that the next free one is found without trying.
create table series (
    endpoint text not null,
    bucket text not null,
    name text not null,
    position bigint not null,
    primary key (endpoint, bucket, name)
) with (fillfactor = 85);
