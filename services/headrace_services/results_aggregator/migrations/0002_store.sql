-- One report with all that follows from it, in one round trip and one transaction.
--
-- The cluster's row in `report` is locked first, whoever writes: what is newest is decided by the table alone, and no
-- report that is older or as old changes anything. `kept` is the LastChecked of what was there before.
create function store_report(
    in_org_id bigint, in_cluster uuid, in_report text, in_reported_at timestamptz, in_last_checked_at timestamptz,
    in_gathered_at timestamptz, in_kafka_offset bigint, in_version text,
    in_rule_fqdn text[], in_error_key text[], in_template_data text[],
    out stored boolean, out kept timestamptz, out moved_from bigint
) language plpgsql as $$
declare
    v_org bigint;
begin
    stored := false;
    loop
        insert into report (org_id, cluster, report, reported_at, last_checked_at, gathered_at, kafka_offset)
        values (in_org_id, in_cluster, in_report, in_reported_at, in_last_checked_at, in_gathered_at, in_kafka_offset)
        on conflict (cluster) do nothing;
        exit when found;
        select org_id, last_checked_at into v_org, kept from report where cluster = in_cluster for update;
        exit when found;  -- else it was deleted in between
    end loop;
    if kept is not null then
        if in_last_checked_at <= kept then
            return;
        end if;
        if v_org <> in_org_id then
            moved_from := v_org;
            perform move_cluster(in_cluster, v_org, in_org_id);
        end if;
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

-- A cluster that now reports for another organisation takes everything along, its users' decisions too. The caller
-- holds the cluster's row.
create function move_cluster(in_cluster uuid, in_from bigint, in_to bigint) returns void language plpgsql as $$
begin
    update report set org_id = in_to where cluster = in_cluster;
    update rule_hit set org_id = in_to where cluster_id = in_cluster;
    update recommendation set org_id = in_to where org_id = in_from and cluster_id = in_cluster;
    update report_info set org_id = in_to where cluster_id = in_cluster;
    update cluster_rule_toggle set org_id = in_to where cluster_id = in_cluster;
    update cluster_rule_user_feedback set org_id = in_to where cluster_id = in_cluster;
    update cluster_user_rule_disable_feedback set org_id = in_to where cluster_id = in_cluster;
    perform from dvo.cluster where cluster_id = in_cluster for update;
    update dvo.cluster set org_id = in_to where cluster_id = in_cluster and org_id = in_from;
    update dvo.dvo_report set org_id = in_to where cluster_id = in_cluster and org_id = in_from;
end $$;

-- The namespaces of one cluster, all of them, under the same rule. The cluster's own row remembers a message that left
-- no namespace, too.
create function store_workloads(
    in_org_id bigint, in_cluster uuid, in_last_checked_at timestamptz,
    in_namespace_id text[], in_namespace_name text[], in_report text[], in_recommendations int[], in_objects int[],
    in_rule_hits_count text[],
    out stored boolean, out kept timestamptz, out moved_from bigint
) language plpgsql as $$
declare
    v_org bigint;
begin
    stored := false;
    loop
        insert into dvo.cluster (cluster_id, org_id, last_checked_at)
        values (in_cluster, in_org_id, in_last_checked_at) on conflict (cluster_id) do nothing;
        exit when found;
        select org_id, last_checked_at into v_org, kept from dvo.cluster where cluster_id = in_cluster for update;
        exit when found;
    end loop;
    if kept is not null then
        if in_last_checked_at <= kept then
            return;
        end if;
        if v_org <> in_org_id then
            moved_from := v_org;
            update dvo.dvo_report set org_id = in_org_id where cluster_id = in_cluster;
        end if;
        update dvo.cluster set org_id = in_org_id, last_checked_at = in_last_checked_at where cluster_id = in_cluster;
    end if;
    stored := true;

    delete from dvo.dvo_report where cluster_id = in_cluster and namespace_id <> all (in_namespace_id);
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

-- Up to so many clusters last checked before a moment, with all that hangs on them; how many there were. What a
-- user decided about a rule of the cluster stays: the cluster may report again.
create function forget_reports(in_before timestamptz, in_limit int) returns int language plpgsql as $$
declare
    v_clusters uuid[];
begin
    select array_agg(cluster) into v_clusters from (
        select cluster from report where last_checked_at < in_before
        order by cluster limit in_limit for update skip locked
    ) as old;
    delete from rule_hit where cluster_id = any (v_clusters);
    delete from recommendation r using report o
        where o.cluster = any (v_clusters) and r.org_id = o.org_id and r.cluster_id = o.cluster;
    delete from report_info where cluster_id = any (v_clusters);
    delete from report where cluster = any (v_clusters);
    return coalesce(cardinality(v_clusters), 0);
end $$;

create function forget_workloads(in_before timestamptz, in_limit int) returns int language plpgsql as $$
declare
    v_clusters uuid[];
begin
    select array_agg(cluster_id) into v_clusters from (
        select cluster_id from dvo.cluster where last_checked_at < in_before
        order by cluster_id limit in_limit for update skip locked
    ) as old;
    delete from dvo.dvo_report where cluster_id = any (v_clusters);
    delete from dvo.cluster where cluster_id = any (v_clusters);
    return coalesce(cardinality(v_clusters), 0);
end $$;
