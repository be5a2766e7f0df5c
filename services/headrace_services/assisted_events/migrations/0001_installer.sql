-- The installer's tables, by upstream's names, so that the same statements read an assisted-service's database.
create table clusters (
    id text primary key,
    kind text,
    href text,
    name text,
    status text not null,
    status_info text,
    status_updated_at timestamptz,
    openshift_version text,
    openshift_cluster_id text,
    ocp_release_image text,
    cpu_architecture text,
    high_availability_mode text,
    control_plane_count bigint,
    base_dns_domain text,
    network_type text,
    machine_networks jsonb,
    cluster_networks jsonb,
    service_networks jsonb,
    api_vips jsonb,
    ingress_vips jsonb,
    platform jsonb,
    feature_usage text,
    validations_info text,
    monitored_operators jsonb,
    progress jsonb,
    install_started_at timestamptz,
    install_completed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    user_name text,
    email_domain text,
    org_id text,
    pull_secret text,
    pull_secret_set boolean,
    ssh_public_key text,
    http_proxy text,
    https_proxy text,
    no_proxy text,
    install_config_overrides text,
    ignition_endpoint jsonb,
    disk_encryption jsonb,
    tags text,
    image_info jsonb
);
create index on clusters (status) where deleted_at is null;

create table infra_envs (
    id text primary key,
    kind text,
    href text,
    name text,
    cluster_id text,
    type text,
    cpu_architecture text,
    openshift_version text,
    download_url text,
    expires_at timestamptz,
    size_bytes bigint,
    proxy jsonb,
    ssh_authorized_key text,
    static_network_config text,
    ignition_config_override text,
    kernel_arguments text,
    additional_trust_bundle text,
    pull_secret text,
    pull_secret_set boolean,
    user_name text,
    email_domain text,
    org_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);

create table hosts (
    id text not null,
    infra_env_id text not null,
    kind text,
    href text,
    cluster_id text,
    status text,
    status_info text,
    role text,
    suggested_role text,
    bootstrap boolean,
    requested_hostname text,
    inventory text,
    validations_info text,
    progress jsonb,
    progress_stages text[],
    connectivity text,
    disks_info text,
    images_status text,
    domain_name_resolutions text,
    logs_info text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    user_name text,
    ignition_config_overrides text,
    installer_args text,
    fencing_credentials text,
    primary key (id, infra_env_id)
);
create index on hosts (cluster_id);

create table events (
    id bigint generated always as identity primary key,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    name text not null,
    message text not null check (length(message) <= 4096),
    severity text not null check (severity in ('info', 'warning', 'error', 'critical')),
    category text not null default 'user' check (category in ('user', 'metrics')),
    event_time timestamptz not null,
    cluster_id text,
    host_id text,
    infra_env_id text,
    request_id text,
    props text
);
create index on events (cluster_id, event_time, id);

-- Whoever listens hears of an end in the transaction's moment; the ticker finds what nobody heard.
create function notify_of_end() returns trigger language plpgsql as $$
begin
    perform pg_notify('assisted_clusters', new.id);
    return new;
end
$$;
create trigger cluster_ended after insert or update of status, install_started_at, install_completed_at on clusters
for each row when (
    new.status in ('installed', 'cancelled', 'error')
    or (new.status = 'adding-hosts' and new.install_completed_at is not null)
) execute function notify_of_end();
