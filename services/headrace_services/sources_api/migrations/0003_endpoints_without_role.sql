-- An empty role is none: several endpoints of a source may have it.
alter table endpoints drop constraint endpoints_role;
create unique index endpoints_role on endpoints (source_id, role) where role <> '';
