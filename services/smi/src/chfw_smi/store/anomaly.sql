-- name: record_anomalies
-- What fits nothing known, once for each repeat.
insert into anomaly (what, hub, release_id, counter, seen_at)
select u.what, u.hub, u.release_id, u.counter, $5
from unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[]) with ordinality u(what, hub, release_id, counter, n)
order by u.n
on conflict (what, hub, release_id, counter) do nothing;
