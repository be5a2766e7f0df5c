-- Lists of payloads say what became of each, without reading the statuses of those that are not on the page: the state
-- is kept by the writer. null: written before there were states, or by the release before; the tracker settles it.
-- `refused`: ingress refused the upload. `failed`: the last status of a service is an error. `waiting`: a consumer that
-- is expected has said nothing. `working`: a service has begun and not ended. `done`: all others.
alter table payloads
    add column size_bytes bigint,
    add column upload_service text collate "C" not null default '',
    add column state text collate "C",
    add column state_since timestamptz;
create index payloads_unsettled on payloads (id) where state is null;
-- Most payloads are done: they are in none of these, so that they cost nothing more.
create index payloads_state on payloads (state, created_at, id) where state <> 'done';
create index payloads_org_state on payloads (org_id, state, created_at, id) where state <> 'done';

-- Which services have to report on an upload for a service; the tracker writes it when it starts.
create table expected_consumers (
    upload_service text collate "C" not null,
    service text collate "C" not null,
    primary key (upload_service, service)
);

-- The states of some payloads, from their statuses alone: in whatever order these arrived, the outcome is one. Refusals
-- of a payload that was accepted before or after say nothing about it.
create function settle_payloads(in_payloads bigint[]) returns void language sql as $$
    with last as (
        select distinct on (t.payload_id, t.service_id, coalesce(t.source_id, 0))
            t.payload_id, t.service_id, w.name as status,
            s.name = 'ingress' and coalesce(o.name, '') = 'refused' as refusal
        from payload_statuses t
        join services s on s.id = t.service_id
        left join sources o on o.id = t.source_id
        join statuses w on w.id = t.status_id
        where t.payload_id = any (in_payloads)
        order by t.payload_id, t.service_id, coalesce(t.source_id, 0),
            t.date desc, w.name in ('success', 'error') desc, w.name, t.id desc
    ), judged as (
        select p.id, case
            when coalesce(bool_and(l.refusal), false) then 'refused'
            when coalesce(bool_or(l.status = 'error' and not l.refusal), false) then 'failed'
            when exists (
                select from expected_consumers e where e.upload_service = p.upload_service and not exists (
                    select from last told join services s on s.id = told.service_id
                    where told.payload_id = p.id and s.name = e.service
                )
            ) then 'waiting'
            when coalesce(bool_or(l.status not in ('success', 'error') and not l.refusal), false) then 'working'
            else 'done' end as state
        from payloads p left join last l on l.payload_id = p.id
        where p.id = any (in_payloads)
        group by p.id
    )
    update payloads p set state = j.state, state_since = now() from judged j
    where p.id = j.id and p.state is distinct from j.state
$$;

-- As before, with the size and the service of the upload, and the states of the payloads at the end.
create function record_statuses(
    in_request_id text[], in_account text[], in_org_id text[], in_inventory_id text[], in_system_id text[],
    in_service text[], in_source text[], in_status text[], in_status_msg text[],
    in_date timestamptz[], in_created_at timestamptz[], in_size_bytes bigint[], in_upload_service text[]
) returns void language plpgsql as $$
declare
    r record;
    v_payload bigint;
    v_payloads bigint[] := '{}';
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
        select reported.*, s.id as service_id, o.id as source_id, w.id as status_id from unnest(
            in_request_id, in_account, in_org_id, in_inventory_id, in_system_id,
            in_service, in_source, in_status, in_status_msg, in_date, in_created_at, in_size_bytes, in_upload_service
        ) as reported (
            request_id, account, org_id, inventory_id, system_id,
            service, source, status, status_msg, date, created_at, size_bytes, upload_service
        )
        join services s on s.name = reported.service
        left join sources o on o.name = reported.source
        join statuses w on w.name = reported.status
        order by reported.request_id collate "C", reported.org_id collate "C", reported.date
    loop
        insert into payloads as p (
            request_id, org_id, account, inventory_id, system_id,
            account_as_of, inventory_id_as_of, system_id_as_of, created_at, size_bytes, upload_service,
            state, state_since
        ) values (
            r.request_id, r.org_id, r.account, r.inventory_id, r.system_id,
            case when r.account = '' then '-infinity' else r.date end,
            case when r.inventory_id = '' then '-infinity' else r.date end,
            case when r.system_id = '' then '-infinity' else r.date end,
            r.created_at, r.size_bytes, r.upload_service,
            'waiting', now()
        ) on conflict (request_id, org_id) do update set
            account = case
                when (excluded.account_as_of, excluded.account) > (p.account_as_of, p.account)
                then excluded.account else p.account end,
            inventory_id = case
                when (excluded.inventory_id_as_of, excluded.inventory_id) > (p.inventory_id_as_of, p.inventory_id)
                then excluded.inventory_id else p.inventory_id end,
            system_id = case
                when (excluded.system_id_as_of, excluded.system_id) > (p.system_id_as_of, p.system_id)
                then excluded.system_id else p.system_id end,
            account_as_of = greatest(p.account_as_of, excluded.account_as_of),
            inventory_id_as_of = greatest(p.inventory_id_as_of, excluded.inventory_id_as_of),
            system_id_as_of = greatest(p.system_id_as_of, excluded.system_id_as_of),
            created_at = least(p.created_at, excluded.created_at),
            size_bytes = greatest(p.size_bytes, excluded.size_bytes),
            upload_service = greatest(p.upload_service, excluded.upload_service)
        -- A repeated status writes nothing; the row is locked all the same, so that retention leaves it alone now, and
        -- another batch settles the payload after this one.
        where (excluded.account_as_of, excluded.account) > (p.account_as_of, p.account)
            or (excluded.inventory_id_as_of, excluded.inventory_id) > (p.inventory_id_as_of, p.inventory_id)
            or (excluded.system_id_as_of, excluded.system_id) > (p.system_id_as_of, p.system_id)
            or excluded.created_at < p.created_at
            or excluded.size_bytes > coalesce(p.size_bytes, -1)
            or excluded.upload_service > p.upload_service
        returning p.id into v_payload;
        if v_payload is null then
            select id into v_payload from payloads where request_id = r.request_id and org_id = r.org_id;
        end if;
        if v_payloads[cardinality(v_payloads)] is distinct from v_payload then
            v_payloads := v_payloads || v_payload;
        end if;

        insert into payload_statuses as s (
            payload_id, service_id, source_id, status_id, status_msg, date, created_at
        ) values (
            v_payload, r.service_id, r.source_id, r.status_id, r.status_msg, r.date, r.created_at
        ) on conflict (payload_id, service_id, coalesce(source_id, 0), status_id, date, md5(status_msg))
        do update set created_at = excluded.created_at where excluded.created_at < s.created_at;
    end loop;
    perform settle_payloads(v_payloads);
end $$;

-- The release before calls it so.
create or replace function record_statuses(
    in_request_id text[], in_account text[], in_org_id text[], in_inventory_id text[], in_system_id text[],
    in_service text[], in_source text[], in_status text[], in_status_msg text[],
    in_date timestamptz[], in_created_at timestamptz[]
) returns void language sql as $$
    select record_statuses(
        in_request_id, in_account, in_org_id, in_inventory_id, in_system_id,
        in_service, in_source, in_status, in_status_msg, in_date, in_created_at,
        array_fill(null::bigint, array[cardinality(in_request_id)]),
        array_fill(''::text, array[cardinality(in_request_id)])
    )
$$;
