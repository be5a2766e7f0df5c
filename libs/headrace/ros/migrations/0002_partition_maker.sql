-- Only a table's owner can make it a partition. The poller, which fills these two and owns nothing, asks for one here.
create function make_historical_partition(parent text, lower_end timestamptz, upper_end timestamptz)
returns void language plpgsql security definer set search_path = pg_catalog, public, pg_temp set timezone = 'UTC' as $$
declare
    name text := parent || to_char(lower_end, '_YYYY_MM_DD');
begin
    if parent not in ('historical_recommendation_sets', 'historical_namespace_recommendation_sets')
        or lower_end <> date_trunc('day', lower_end) or extract(day from lower_end) not in (1, 16)
        or upper_end <> (case extract(day from lower_end)
            when 1 then lower_end + interval '15 days'
            else date_trunc('month', lower_end) + interval '1 month' end)
    then
        raise exception 'no half-month of a historical table: %, % to %', parent, lower_end, upper_end;
    end if;
    if to_regclass('public.' || name) is not null then
        return;
    end if;
    execute format('create table public.%I (like public.%I including defaults including constraints)', name, parent);
    execute format('comment on table public.%I is %L', name,
        to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'));
    execute format('alter table public.%I attach partition public.%I for values from (%L) to (%L)',
        parent, name, lower_end, upper_end);
end $$;

revoke execute on function make_historical_partition from public;
