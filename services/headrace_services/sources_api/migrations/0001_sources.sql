-- Whose sources they are: an organisation, known by its org id, or by its account number alone until the org id is seen.
create table tenants (
    id bigint generated always as identity primary key,
    org_id text unique,
    account text,
    check (org_id is not null or account is not null)
);
create index tenants_account on tenants (account);
create unique index tenants_account_alone on tenants (account) where org_id is null;

create table source_types (
    id bigint generated always as identity primary key,
    name text not null unique,
    product_name text not null,
    category text not null,
    vendor text not null,
    icon_url text not null default '',
    schema jsonb not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table application_types (
    id bigint generated always as identity primary key,
    name text not null unique,
    display_name text not null,
    dependent_applications jsonb not null default '[]',
    supported_source_types jsonb not null,
    supported_authentication_types jsonb not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- One cluster is one source, whoever registers it at the same time: the third constraint.
create table sources (
    id bigint generated always as identity primary key,
    tenant_id bigint not null references tenants (id),
    source_type_id bigint not null references source_types (id),
    name text not null,
    uid text not null,
    version text,
    imported text,
    source_ref text,
    app_creation_workflow text not null,
    availability_status text not null default 'in_progress',
    last_checked_at timestamptz,
    last_available_at timestamptz,
    paused_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint sources_name unique (tenant_id, name),
    constraint sources_source_ref unique (tenant_id, source_type_id, source_ref)
);

create table applications (
    id bigint generated always as identity primary key,
    tenant_id bigint not null references tenants (id),
    source_id bigint not null references sources (id),
    application_type_id bigint not null references application_types (id),
    extra jsonb,
    availability_status text not null default 'in_progress',
    availability_status_error text,
    last_checked_at timestamptz,
    last_available_at timestamptz,
    paused_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint applications_once unique (source_id, application_type_id)
);
create index applications_tenant on applications (tenant_id, application_type_id);

create table endpoints (
    id bigint generated always as identity primary key,
    tenant_id bigint not null references tenants (id),
    source_id bigint not null references sources (id),
    role text,
    port integer not null,
    "default" boolean not null,
    scheme text not null,
    host text,
    path text,
    verify_ssl boolean not null,
    certificate_authority text,
    receptor_node text,
    availability_status text not null default 'in_progress',
    availability_status_error text,
    last_checked_at timestamptz,
    last_available_at timestamptz,
    paused_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint endpoints_role unique (source_id, role)
);
create unique index endpoints_default on endpoints (source_id) where "default";
create index endpoints_tenant on endpoints (tenant_id);

-- ``password`` is encrypted by pgcrypto where ``password_encrypted``, else the UTF-8 bytes themselves.
create table authentications (
    id bigint generated always as identity primary key,
    tenant_id bigint not null references tenants (id),
    source_id bigint not null references sources (id),
    resource_type text not null,
    resource_id bigint not null,
    name text,
    authtype text,
    username text,
    password bytea,
    password_encrypted boolean not null default false,
    extra jsonb,
    availability_status text not null default 'in_progress',
    availability_status_error text,
    last_checked_at timestamptz,
    last_available_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index authentications_tenant on authentications (tenant_id, resource_type, resource_id);
create index authentications_source on authentications (source_id);

create table application_authentications (
    id bigint generated always as identity primary key,
    tenant_id bigint not null references tenants (id),
    application_id bigint not null references applications (id),
    authentication_id bigint not null references authentications (id),
    paused_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index application_authentications_application on application_authentications (application_id);
create index application_authentications_authentication on application_authentications (authentication_id);

-- Events of committed changes that Kafka has not acknowledged yet. Changes of one tenant are made one after the
-- other, so that within a tenant the ids are in the order of the commits.
create table outbox (
    id bigint generated always as identity primary key,
    tenant_id bigint not null references tenants (id),
    event_type text not null,
    key text not null,
    headers jsonb not null,
    value bytea not null,
    kept_at timestamptz not null default now()
);
create index outbox_tenant on outbox (tenant_id, id);
