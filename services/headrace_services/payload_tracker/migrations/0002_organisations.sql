-- A payload is one organisation's: what another reports under the same request id is another payload. The organisation
-- is part of the key, so that rows do not depend on the order of statuses, nor on who came first. What a status without
-- an organisation is about stands in a row of its own, whose organisation is ''; readers decide whom it is shown.
alter table payloads drop constraint payloads_request_id_key;
alter table payloads add constraint payloads_once unique (request_id, org_id);
alter table payloads drop column org_id_as_of;

create or replace function record_statuses(
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
        ) order by request_id collate "C", org_id collate "C", date
    loop
        insert into payloads as p (
            request_id, org_id, account, inventory_id, system_id,
            account_as_of, inventory_id_as_of, system_id_as_of, created_at
        ) values (
            r.request_id, r.org_id, r.account, r.inventory_id, r.system_id,
            case when r.account = '' then '-infinity' else r.date end,
            case when r.inventory_id = '' then '-infinity' else r.date end,
            case when r.system_id = '' then '-infinity' else r.date end,
            r.created_at
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
            created_at = least(p.created_at, excluded.created_at)
        -- A repeated status writes nothing; the row is locked all the same, so that retention leaves it alone now.
        where (excluded.account_as_of, excluded.account) > (p.account_as_of, p.account)
            or (excluded.inventory_id_as_of, excluded.inventory_id) > (p.inventory_id_as_of, p.inventory_id)
            or (excluded.system_id_as_of, excluded.system_id) > (p.system_id_as_of, p.system_id)
            or excluded.created_at < p.created_at
        returning p.id into v_payload;
        if v_payload is null then
            select id into v_payload from payloads where request_id = r.request_id and org_id = r.org_id;
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
