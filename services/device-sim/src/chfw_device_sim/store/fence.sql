-- name: share_fences
-- Hold the fences of edges while messages are judged and forwarded; the keys come sorted.
select pg_advisory_xact_lock_shared(k) from unnest($1::bigint[]) k;

-- name: close_fences
-- Hold the fences of edges alone while they are raised; the keys come sorted.
select pg_advisory_xact_lock(k) from unnest($1::bigint[]) k;

-- name: find_fences
-- What the edges obey for these releases.
select release_id, edge, min_epoch from fence where release_id = any($1::text[]) order by release_id, edge;

-- name: know_release
-- Every edge learns of releases, without a halt.
insert into fence (release_id, edge, min_epoch)
select r, e, 0 from unnest($1::text[]) r cross join unnest($2::text[]) e
on conflict (release_id, edge) do nothing;

-- name: raise_fences
-- Edges obey at least these epochs from now on.
insert into fence (release_id, edge, min_epoch, fenced_at)
select r.release_id, e, r.min_epoch, $4
from unnest($1::text[], $2::bigint[]) r(release_id, min_epoch) cross join unnest($3::text[]) e
on conflict (release_id, edge) do update set
    fenced_at = case when excluded.min_epoch > fence.min_epoch then excluded.fenced_at else fence.fenced_at end,
    min_epoch = greatest(fence.min_epoch, excluded.min_epoch);
