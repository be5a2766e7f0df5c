-- Which service, source and status each word means: a few hundred words, millions of rows.
create table services (id int generated always as identity primary key, name text not null unique);
create table sources (id int generated always as identity primary key, name text not null unique);
create table statuses (id int generated always as identity primary key, name text not null unique);

-- The *_as_of columns hold the date of the status a value came from: the newest non-empty value stands, in whatever
-- order statuses arrive. They are in no index, so that moving them forward stays within the page (fillfactor).
create table payloads (
    id bigint generated always as identity primary key,
    request_id text collate "C" not null unique,
    account text collate "C" not null,
    org_id text collate "C" not null,
    inventory_id text collate "C" not null,
    system_id text collate "C" not null,
    account_as_of timestamptz not null,
    org_id_as_of timestamptz not null,
    inventory_id_as_of timestamptz not null,
    system_id_as_of timestamptz not null,
    created_at timestamptz not null
) with (fillfactor = 85);

create index payloads_created_at on payloads (created_at);
create index payloads_org_id on payloads (org_id, created_at);
create index payloads_account on payloads (account, created_at) where account <> '';
create index payloads_inventory_id on payloads (inventory_id, created_at) where inventory_id <> '';
create index payloads_system_id on payloads (system_id, created_at) where system_id <> '';

-- Not partitioned by day: a status belongs to its payload and goes with it, and the natural key must hold across days.
create table payload_statuses (
    id bigint generated always as identity primary key,
    payload_id bigint not null references payloads (id) on delete cascade,
    service_id int not null references services (id),
    source_id int references sources (id),
    status_id int not null references statuses (id),
    status_msg text not null,
    date timestamptz not null,
    created_at timestamptz not null
);

-- The natural key. The message by its digest: an index entry has room for 2.7 kB only.
create unique index payload_statuses_once on payload_statuses
    (payload_id, service_id, coalesce(source_id, 0), status_id, date, md5(status_msg));
create index payload_statuses_created_at on payload_statuses (created_at);
create index payload_statuses_date on payload_statuses (date);

-- A batch of statuses in one round trip, one array a column. Doing it again, or in another order, leaves the same
-- rows. Names first, then payloads, each in order: two batches take their locks in the same order, without deadlock.
create function record_statuses(
    in_request_id text[], in_account text[], in_org_id text[], in_inventory_id text[], in_system_id text[],
    in_service text[], in_source text[], in_status text[], in_status_msg text[],
    in_date timestamptz[], in_created_at timestamptz[]
) returns void language plpgsql as $$
declare
    r record;
    v_payload bigint;
begin
    insert into services (name)
        select distinct name from unnest(in_service) as new (name)
        where not exists (select from services old where old.name = new.name) order by name
        on conflict (name) do nothing;
    insert into sources (name)
        select distinct name from unnest(in_source) as new (name)
        where name <> '' and not exists (select from sources old where old.name = new.name) order by name
        on conflict (name) do nothing;
    insert into statuses (name)
        select distinct name from unnest(in_status) as new (name)
        where not exists (select from statuses old where old.name = new.name) order by name
        on conflict (name) do nothing;

    for r in
        select * from unnest(
            in_request_id, in_account, in_org_id, in_inventory_id, in_system_id,
            in_service, in_source, in_status, in_status_msg, in_date, in_created_at
        ) as reported (
            request_id, account, org_id, inventory_id, system_id,
            service, source, status, status_msg, date, created_at
        ) order by request_id collate "C", date
    loop
        insert into payloads as p (
            request_id, account, org_id, inventory_id, system_id,
            account_as_of, org_id_as_of, inventory_id_as_of, system_id_as_of, created_at
        ) values (
            r.request_id, r.account, r.org_id, r.inventory_id, r.system_id,
            case when r.account = '' then '-infinity' else r.date end,
            case when r.org_id = '' then '-infinity' else r.date end,
            case when r.inventory_id = '' then '-infinity' else r.date end,
            case when r.system_id = '' then '-infinity' else r.date end,
            r.created_at
        ) on conflict (request_id) do update set
            account = case
                when (excluded.account_as_of, excluded.account) > (p.account_as_of, p.account)
                then excluded.account else p.account end,
            org_id = case
                when (excluded.org_id_as_of, excluded.org_id) > (p.org_id_as_of, p.org_id)
                then excluded.org_id else p.org_id end,
            inventory_id = case
                when (excluded.inventory_id_as_of, excluded.inventory_id) > (p.inventory_id_as_of, p.inventory_id)
                then excluded.inventory_id else p.inventory_id end,
            system_id = case
                when (excluded.system_id_as_of, excluded.system_id) > (p.system_id_as_of, p.system_id)
                then excluded.system_id else p.system_id end,
            account_as_of = greatest(p.account_as_of, excluded.account_as_of),
            org_id_as_of = greatest(p.org_id_as_of, excluded.org_id_as_of),
            inventory_id_as_of = greatest(p.inventory_id_as_of, excluded.inventory_id_as_of),
            system_id_as_of = greatest(p.system_id_as_of, excluded.system_id_as_of),
            created_at = least(p.created_at, excluded.created_at)
        -- A repeated status writes nothing; the row is locked all the same, so that retention leaves it alone now.
        where (excluded.account_as_of, excluded.account) > (p.account_as_of, p.account)
            or (excluded.org_id_as_of, excluded.org_id) > (p.org_id_as_of, p.org_id)
            or (excluded.inventory_id_as_of, excluded.inventory_id) > (p.inventory_id_as_of, p.inventory_id)
            or (excluded.system_id_as_of, excluded.system_id) > (p.system_id_as_of, p.system_id)
            or excluded.created_at < p.created_at
        returning p.id into v_payload;
        if v_payload is null then
            select id into v_payload from payloads where request_id = r.request_id;
        end if;

        insert into payload_statuses as s (
            payload_id, service_id, source_id, status_id, status_msg, date, created_at
        ) values (
            v_payload,
            (select id from services where name = r.service),
            (select id from sources where name = r.source),
            (select id from statuses where name = r.status),
            r.status_msg, r.date, r.created_at
        ) on conflict (payload_id, service_id, coalesce(source_id, 0), status_id, date, md5(status_msg))
        do update set created_at = excluded.created_at where excluded.created_at < s.created_at;
    end loop;
end $$;
