-- Whose a cluster is: the first organisation's that reported it, until an operator says otherwise. `cluster_id` is a
-- UUID in lower case with hyphens, or any other name in lower case; an organisation is compared as text.
create table cluster_owner (
    cluster_id text primary key,
    org_id text not null check (org_id <> ''),
    since timestamptz not null default now()
);

-- Who else reported it, for an operator to see: one row, however often they come.
create table cluster_refusal (
    cluster_id text not null,
    org_id text not null,
    times bigint not null default 1,
    first_at timestamptz not null default now(),
    last_at timestamptz not null default now(),
    primary key (cluster_id, org_id)
);

-- Whether an organisation may file something under a cluster; one that is nobody's is its own from now on, if the
-- transaction commits. Of two that claim at once the second waits for the first. Who names no organisation owns
-- nothing.
-- `in_follow`: a cluster is the last organisation's that reported it.
create function claim_cluster(in_cluster text, in_org_id text, in_follow boolean default false)
returns boolean language plpgsql as $$
declare
    v_owner text;
begin
    select org_id into v_owner from cluster_owner where cluster_id = in_cluster;
    if not found then
        if in_org_id = '' then
            return true;
        end if;
        insert into cluster_owner (cluster_id, org_id) values (in_cluster, in_org_id) on conflict do nothing;
        if found then
            return true;
        end if;
        select org_id into v_owner from cluster_owner where cluster_id = in_cluster;
    end if;
    if v_owner = in_org_id then
        return true;
    end if;
    if in_follow and in_org_id <> '' then
        update cluster_owner set org_id = in_org_id, since = now() where cluster_id = in_cluster;
        return true;
    end if;
    insert into cluster_refusal as r (cluster_id, org_id) values (in_cluster, in_org_id)
    on conflict (cluster_id, org_id) do update set times = r.times + 1, last_at = now();
    return false;
end $$;

-- An operator's word: whose a cluster is from now on, and whose it was (null: nobody's). The lock waits for everyone
-- who has asked and not yet committed, so that nothing of the organisation before is filed afterwards.
create function move_cluster(in_cluster text, in_org_id text) returns text language plpgsql as $$
declare
    v_owner text;
begin
    lock table cluster_owner in access exclusive mode;
    select org_id into v_owner from cluster_owner where cluster_id = in_cluster;
    insert into cluster_owner as o (cluster_id, org_id) values (in_cluster, in_org_id)
    on conflict (cluster_id) do update set org_id = excluded.org_id, since = now() where o.org_id <> excluded.org_id;
    delete from cluster_refusal where cluster_id = in_cluster and org_id = in_org_id;
    return v_owner;
end $$;

-- What is there stays whose it is: of several that archived under one cluster, the first's.
insert into cluster_owner (cluster_id, org_id, since)
    select distinct on (1)
        case when replace(lower(cluster_id), '-', '') ~ '^[0-9a-f]{32}$'
            then replace(cluster_id, '-', '')::uuid::text else lower(cluster_id) end, org_id, claimed_at
    from archives where cluster_id <> '' and org_id <> '' order by 1, id;
