-- What Segment has taken, by the digest of its messageId.
create table sent (
    key bytea primary key,
    sent_at timestamptz not null default now()
);
create index sent_sent_at on sent using brin (sent_at);

-- What may be reported once only, such as a pull request, and the message under which it was.
create table reported_once (
    key bytea primary key,
    message bytea not null,
    sent_at timestamptz not null default now()
);

-- One row a run. `ended_at` is null while it goes on, and stays so when its process was killed.
create table runs (
    id bigint generated always as identity primary key,
    began_at timestamptz not null default now(),
    ended_at timestamptz,
    succeeded boolean,
    outcome jsonb
);
create index runs_began_at on runs (began_at);

-- What could not be sent, whole, with the reason, unless a file is named for it. `key` is the content's digest: what
-- comes again with the next run's window is there once.
create table dead_letters (
    key bytea primary key,
    buried_at timestamptz not null default now(),
    reason text not null,
    content bytea not null
);
create index dead_letters_buried_at on dead_letters (buried_at);
