-- An empty source_ref is shown as it was sent; several sources of a type may have it.
alter table sources drop constraint sources_source_ref;
create unique index sources_source_ref on sources (tenant_id, source_type_id, source_ref) where source_ref <> '';
