-- When results of the experiment were stored last. It is in no index, so that an update stays within its page.
alter table kruize_experiments add column updated_at timestamptz not null default now();
update kruize_experiments set updated_at = created_at;
alter table kruize_experiments set (fillfactor = 80);
