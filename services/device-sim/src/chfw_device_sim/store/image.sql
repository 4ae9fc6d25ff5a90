-- name: lock_receptions
-- What these hubs know of images, locked in order.
select
    hub, part, region, coming_release, coming_firmware, coming_hash, coming_epoch, deliver_at, queue_no, held_hash,
    delivery_release, deliveries
from device where hub = any($1::bigint[]) order by hub for update;

-- name: deliveries_due
-- When the earliest delivery of each partition is due, the earliest first.
select d.due as at, p.part
from generate_series(0, $1::int - 1) p(part)
cross join lateral (
    select deliver_at as due from device
    where device.part = p.part and deliver_at is not null order by deliver_at limit 1
) d
order by d.due, p.part;

-- name: lock_deliveries
-- Images that arrive now, of one partition after the other, the earliest first as far as the limit goes, locked in order
-- of hubs. By an array and not by a join, whose plan would hang on how fresh the statistics of `deliver_at` are; so the
-- caller looks at `deliver_at` again, in case somebody was waited for.
select hub, part, region, coming_release, coming_epoch, deliveries, deliver_at
from device
where hub = any(array(
    select d.hub from unnest($1::smallint[]) with ordinality p(part, n) cross join lateral (
        select deliver_at, hub from device
        where device.part = p.part and deliver_at <= $2 order by deliver_at, hub limit $3
    ) d
    order by p.n, d.deliver_at, d.hub limit $3
))
order by hub for update;

-- name: find_waiting
-- The first that wait in the queue of a region, and the releases they wait for; not locked.
select hub, coming_release from device where region = $1 and queue_no is not null order by queue_no limit $2;

-- name: end_deliveries
-- Images that have arrived are held; those that failed are gone.
update device set
    held_firmware = case when u.arrived then device.coming_firmware else device.held_firmware end,
    held_hash = case when u.arrived then device.coming_hash else device.held_hash end,
    coming_release = null, coming_firmware = null, coming_hash = null, coming_epoch = null, deliver_at = null
from unnest($1::bigint[], $2::boolean[]) u(hub, arrived)
where device.hub = u.hub;

-- name: put_off_delivery
-- The image that travels to a hub arrives at another time.
update device set deliver_at = $2 where hub = $1 and deliver_at is not null;

-- name: leave_queue
-- A hub leaves the queue of its region: its image travels, and arrives at the instant given.
with moved as (
    update device set queue_no = null, deliver_at = $2 where hub = $1 and queue_no is not null returning region
)
update lane set queued = queued - 1, in_flight = in_flight + 1 from moved where lane.region = moved.region;

-- name: queue_again
-- A hub whose image would arrive at the instant given waits at the end of the queue of its region instead.
with placed as (
    select d.hub, l.region, l.next_no from device d join lane l using (region)
    where d.hub = $1 and d.deliver_at = $2 for update
), moved as (
    update device set queue_no = placed.next_no, deliver_at = null from placed where device.hub = placed.hub
)
update lane set queued = queued + 1, in_flight = in_flight - 1, next_no = lane.next_no + 1
from placed where lane.region = placed.region;
