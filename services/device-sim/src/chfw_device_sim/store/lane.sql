-- name: make_lanes
-- Rows of regions that are used for the first time.
insert into lane (region) select unnest($1::text[]) on conflict (region) do nothing;

-- name: lock_lanes
-- How full these regions are, locked in order.
select region, in_flight, queued, next_no, free_at from lane where region = any($1::text[]) order by region for update;

-- name: find_queues
-- Regions where deliveries wait.
select region, in_flight, queued, next_no, free_at from lane where queued > 0 order by region;

-- name: save_lanes
-- How full regions are now.
update lane set in_flight = u.in_flight, queued = u.queued, next_no = u.next_no, free_at = u.free_at
from unnest($1::text[], $2::int[], $3::int[], $4::bigint[], $5::timestamptz[])
    u(region, in_flight, queued, next_no, free_at)
where lane.region = u.region;
