-- name: add
-- Add to the counts of partitions; keys that come to nothing are dropped. One row a partition, in order: handlers of one
-- partition wait for each other here and nowhere else.
insert into tally (release_id, part, hubs)
select $1, u.part, u.hubs from unnest($2::smallint[], $3::jsonb[]) u(part, hubs) order by u.part
on conflict (release_id, part) do update set hubs = (
    select coalesce(jsonb_object_agg(sums.key, sums.n), '{}')
    from (
        select e.key, sum(e.value::int) as n
        from (
            select key, value from jsonb_each(tally.hubs) union all select key, value from jsonb_each(excluded.hubs)
        ) e
        group by e.key
    ) sums
    where sums.n <> 0
);

-- name: read
-- What was told of releases (all, or one), the last halt of each, and its counts now, summed over partitions.
select told.release_id, told.at, told.totals, told.at_risk, told.put_off_until, coalesce(decision.min_epoch, 0) as min_epoch, (
        select coalesce(jsonb_object_agg(sums.key, sums.n), '{}')
        from (
            select e.key, sum(e.value::int) as n
            from tally cross join lateral jsonb_each(tally.hubs) e
            where tally.release_id = told.release_id group by e.key
        ) sums
    ) as counts
from told left join decision using (release_id)
where $1::text is null or told.release_id = $1
order by told.release_id;

-- name: begin_telling
-- Nothing has been told of a release yet.
insert into told (release_id, at, totals, at_risk) values ($1, $2, '{}', 0) on conflict do nothing;

-- name: lock_told
-- Lock what was told of a release: who tells more waits here, and reads the counts afterwards.
select from told where release_id = $1 for update;

-- name: note_told
-- What has just been told of a release.
update told set at = $2, totals = $3, at_risk = $4, put_off_until = null where release_id = $1;

-- name: put_off
-- Nothing is told of a release by itself before an instant.
update told set put_off_until = $2 where release_id = $1;

-- name: states
-- Hubs of every release by key.
select tally.release_id, e.key, sum(e.value::int)::bigint as n
from tally cross join lateral jsonb_each(tally.hubs) e
group by tally.release_id, e.key order by tally.release_id, e.key;

-- name: miscounts
-- Keys whose count is not the number of rows; it reads the whole ledger.
select * from miscount order by release_id, part, key;
