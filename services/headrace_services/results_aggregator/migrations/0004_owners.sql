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

-- What is there stays whose it is.
insert into cluster_owner (cluster_id, org_id, since) select cluster::text, org_id::text, reported_at from report;
insert into cluster_owner (cluster_id, org_id, since)
    select cluster_id::text, org_id::text, last_checked_at from dvo.cluster
on conflict do nothing;

-- What an organisation's users decided about a cluster that is another's now. Nobody reads it; it is there again when
-- the cluster comes back.
create table decision_set_aside (
    org_id bigint not null,
    cluster_id uuid not null,
    kind text not null,
    decision jsonb not null
);
create index decision_set_aside_cluster on decision_set_aside (cluster_id, org_id);

-- A cluster that changes hands takes its reports along, which say what the cluster is like, and nothing of what people
-- wrote: toggles, votes and texts are set aside.
create function hand_over() returns trigger language plpgsql as $$
declare
    v_cluster uuid;
    v_org bigint;
    v_kind text;
begin
    if new.cluster_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        return null;
    end if;
    if new.org_id !~ '^[1-9][0-9]{0,9}$' then
        raise exception 'organisation %: expected a number, as reports name it', new.org_id
            using errcode = 'invalid_parameter_value';
    end if;
    v_cluster := new.cluster_id;
    v_org := new.org_id;
    update report set org_id = v_org where cluster = v_cluster;
    update rule_hit set org_id = v_org where cluster_id = v_cluster;
    update recommendation set org_id = v_org where cluster_id = v_cluster;
    update report_info set org_id = v_org where cluster_id = v_cluster;
    update dvo.cluster set org_id = v_org where cluster_id = v_cluster;
    update dvo.dvo_report set org_id = v_org where cluster_id = v_cluster;
    foreach v_kind in array array[
        'cluster_rule_toggle', 'cluster_rule_user_feedback', 'cluster_user_rule_disable_feedback'
    ] loop
        execute format(
            'with gone as (delete from %1$I d where cluster_id = $1 and org_id <> $2'
            ' returning org_id, to_jsonb(d) as decision)'
            ' insert into decision_set_aside select org_id, $1, %1$L, decision from gone',
            v_kind
        ) using v_cluster, v_org;
        execute format(
            'with back as (delete from decision_set_aside where cluster_id = $1 and org_id = $2 and kind = %1$L'
            ' returning decision)'
            ' insert into %1$I select (jsonb_populate_record(null::%1$I, decision)).* from back on conflict do nothing',
            v_kind
        ) using v_cluster, v_org;
    end loop;
    return null;
end $$;
create trigger cluster_changed_hands after update of org_id on cluster_owner
for each row when (old.org_id <> new.org_id) execute function hand_over();

drop function move_cluster(uuid, bigint, bigint);

-- As before, but for whose cluster it is: `refused` says that it is another organisation's, and nothing changed.
-- `in_follow`: a newer report of another organisation takes the cluster over. The release before reads `moved_from`.
drop function store_report(
    bigint, uuid, text, timestamptz, timestamptz, timestamptz, bigint, text, text[], text[], text[]
);
create function store_report(
    in_org_id bigint, in_cluster uuid, in_report text, in_reported_at timestamptz, in_last_checked_at timestamptz,
    in_gathered_at timestamptz, in_kafka_offset bigint, in_version text,
    in_rule_fqdn text[], in_error_key text[], in_template_data text[], in_follow boolean default false,
    out stored boolean, out kept timestamptz, out moved_from bigint, out refused boolean
) language plpgsql as $$
begin
    stored := false;
    refused := not in_follow and not claim_cluster(in_cluster::text, in_org_id::text);
    if refused then
        return;
    end if;
    loop
        insert into report (org_id, cluster, report, reported_at, last_checked_at, gathered_at, kafka_offset)
        values (in_org_id, in_cluster, in_report, in_reported_at, in_last_checked_at, in_gathered_at, in_kafka_offset)
        on conflict (cluster) do nothing;
        exit when found;
        select last_checked_at into kept from report where cluster = in_cluster for update;
        exit when found;  -- else it was deleted in between
    end loop;
    if in_last_checked_at <= kept then
        return;
    end if;
    if in_follow then
        perform claim_cluster(in_cluster::text, in_org_id::text, true);
    end if;
    if kept is not null then
        update report set report = in_report, reported_at = in_reported_at, last_checked_at = in_last_checked_at,
            gathered_at = in_gathered_at, kafka_offset = in_kafka_offset
        where cluster = in_cluster;
    end if;
    stored := true;

    delete from rule_hit h where h.cluster_id = in_cluster and not exists (
        select from unnest(in_rule_fqdn, in_error_key) as new (rule_fqdn, error_key)
        where new.rule_fqdn = h.rule_fqdn and new.error_key = h.error_key
    );
    insert into rule_hit as h (cluster_id, org_id, rule_fqdn, error_key, template_data, created_at)
        select in_cluster, in_org_id, new.*, in_last_checked_at
        from unnest(in_rule_fqdn, in_error_key, in_template_data) as new
    on conflict (cluster_id, org_id, rule_fqdn, error_key) do update set template_data = excluded.template_data
        where h.template_data <> excluded.template_data;

    -- What may be left out is what hits no more; it names its rule without the component's last part.
    delete from recommendation r where r.org_id = in_org_id and r.cluster_id = in_cluster and not exists (
        select from unnest(in_rule_fqdn, in_error_key) as new (rule_fqdn, error_key)
        where regexp_replace(new.rule_fqdn, '\.report$', '') = r.rule_fqdn and new.error_key = r.error_key
    );
    insert into recommendation
        (org_id, cluster_id, rule_fqdn, error_key, rule_id, created_at, impacted_since)
        select distinct on (fqdn, error_key) in_org_id, in_cluster, fqdn, error_key, fqdn || '|' || error_key,
            in_last_checked_at, in_last_checked_at
        from (
            select regexp_replace(rule_fqdn, '\.report$', '') as fqdn, error_key
            from unnest(in_rule_fqdn, in_error_key) as new (rule_fqdn, error_key)
        ) as named
    on conflict (org_id, cluster_id, rule_fqdn, error_key) do update set created_at = excluded.created_at;

    if in_version is null then
        delete from report_info where cluster_id = in_cluster;
    else
        insert into report_info as i (org_id, cluster_id, version_info) values (in_org_id, in_cluster, in_version)
        on conflict (cluster_id) do update set version_info = excluded.version_info
            where i.version_info <> excluded.version_info;
    end if;
end $$;

-- The namespaces of one cluster, all of them, under the same rule. The cluster's own row remembers a message that left
-- no namespace, too.
drop function store_workloads(
    bigint, uuid, timestamptz, text[], text[], text[], int[], int[], text[]
);
create function store_workloads(
    in_org_id bigint, in_cluster uuid, in_last_checked_at timestamptz,
    in_namespace_id text[], in_namespace_name text[], in_report text[], in_recommendations int[], in_objects int[],
    in_rule_hits_count text[], in_follow boolean default false,
    out stored boolean, out kept timestamptz, out moved_from bigint, out refused boolean
) language plpgsql as $$
begin
    stored := false;
    refused := not in_follow and not claim_cluster(in_cluster::text, in_org_id::text);
    if refused then
        return;
    end if;
    loop
        insert into dvo.cluster (cluster_id, org_id, last_checked_at)
        values (in_cluster, in_org_id, in_last_checked_at) on conflict (cluster_id) do nothing;
        exit when found;
        select last_checked_at into kept from dvo.cluster where cluster_id = in_cluster for update;
        exit when found;
    end loop;
    if in_last_checked_at <= kept then
        return;
    end if;
    if in_follow then
        perform claim_cluster(in_cluster::text, in_org_id::text, true);
    end if;
    if kept is not null then
        update dvo.cluster set org_id = in_org_id, last_checked_at = in_last_checked_at where cluster_id = in_cluster;
    end if;
    stored := true;

    delete from dvo.dvo_report where cluster_id = in_cluster
        and (namespace_id <> all (in_namespace_id) or org_id <> in_org_id);
    insert into dvo.dvo_report
        (org_id, cluster_id, namespace_id, namespace_name, report, recommendations, objects, reported_at,
         last_checked_at, rule_hits_count)
        select in_org_id, in_cluster, new.id, new.name, new.report, new.recommendations, new.objects,
            in_last_checked_at, in_last_checked_at, new.rule_hits_count::jsonb
        from unnest(in_namespace_id, in_namespace_name, in_report, in_recommendations, in_objects, in_rule_hits_count)
            as new (id, name, report, recommendations, objects, rule_hits_count)
    on conflict (org_id, cluster_id, namespace_id) do update set
        namespace_name = excluded.namespace_name, report = excluded.report,
        recommendations = excluded.recommendations, objects = excluded.objects,
        last_checked_at = excluded.last_checked_at, rule_hits_count = excluded.rule_hits_count;
end $$;
