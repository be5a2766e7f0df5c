-- Which payload a report came of; '' for reports that were stored before, and for those of the release before.
alter table report add column request_id text collate "C" not null default '';
create index report_request on report (org_id, request_id) where request_id <> '';
-- Lists of an organisation's clusters, the newest report first.
create index report_org_reported on report (org_id, reported_at, cluster);

-- As before, with the request id.
create function store_report(
    in_org_id bigint, in_cluster uuid, in_report text, in_reported_at timestamptz, in_last_checked_at timestamptz,
    in_gathered_at timestamptz, in_kafka_offset bigint, in_version text,
    in_rule_fqdn text[], in_error_key text[], in_template_data text[], in_follow boolean,
    in_request_id text,
    out stored boolean, out kept timestamptz, out moved_from bigint, out refused boolean
) language plpgsql as $$
begin
    stored := false;
    refused := not in_follow and not claim_cluster(in_cluster::text, in_org_id::text);
    if refused then
        return;
    end if;
    loop
        insert into report
            (org_id, cluster, report, reported_at, last_checked_at, gathered_at, kafka_offset, request_id)
        values (in_org_id, in_cluster, in_report, in_reported_at, in_last_checked_at, in_gathered_at, in_kafka_offset,
            in_request_id)
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
            gathered_at = in_gathered_at, kafka_offset = in_kafka_offset, request_id = in_request_id
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

-- The release before calls it so.
create or replace function store_report(
    in_org_id bigint, in_cluster uuid, in_report text, in_reported_at timestamptz, in_last_checked_at timestamptz,
    in_gathered_at timestamptz, in_kafka_offset bigint, in_version text,
    in_rule_fqdn text[], in_error_key text[], in_template_data text[], in_follow boolean default false,
    out stored boolean, out kept timestamptz, out moved_from bigint, out refused boolean
) language sql as $$
    select * from store_report(
        in_org_id, in_cluster, in_report, in_reported_at, in_last_checked_at, in_gathered_at, in_kafka_offset,
        in_version, in_rule_fqdn, in_error_key, in_template_data, in_follow, ''
    )
$$;
