-- `on conflict (cluster)` settles who inserts a cluster at one index alone; at another unique index, whatever its place
-- in their order, a replica that inserts the same cluster at the same moment is met as an error.
alter table report drop constraint report_pkey;
alter table report add constraint report_pkey primary key using index report_cluster;
create index report_organization on report (org_id, cluster);
