-- name: lock_commanded
-- What these hubs know of commands, locked in order.
select
    hub, part, region, firmware, counter, receipt_kind, receipt_release, receipt_epoch, receipt_at, receipt_reason,
    receipt_firmware, armed_release, armed_hash, armed_counter, activate_at, executed_counter, activated_release,
    restarts_until
from device where hub = any($1::bigint[]) order by hub for update;

-- name: activations_due
-- When the earliest armed activation of each partition is due, the earliest first.
select d.due as at, p.part
from generate_series(0, $1::int - 1) p(part)
cross join lateral (
    select activate_at as due from device
    where device.part = p.part and activate_at is not null order by activate_at limit 1
) d
order by d.due, p.part;

-- name: lock_activations
-- Armed hubs whose time has come, of one partition after the other, the earliest first as far as the limit goes, locked
-- in order. By an array and not by a join, whose plan would hang on how fresh the statistics of `activate_at` are; so
-- the caller looks at `activate_at` again, in case somebody was waited for.
select
    hub, part, region, firmware, held_firmware, held_hash, armed_release, armed_hash, armed_counter, activation_release,
    activations_tried, alert_counter, activate_at
from device
where hub = any(array(
    select d.hub from unnest($1::smallint[]) with ordinality p(part, n) cross join lateral (
        select activate_at, hub from device
        where device.part = p.part and activate_at <= $2 order by activate_at, hub limit $3
    ) d
    order by p.n, d.activate_at, d.hub limit $3
))
order by hub for update;

-- name: end_activations
-- Activations done, well or badly. The evidence counts how often a release was activated.
update device set
    firmware = u.firmware,
    alert_counter = u.alert_counter,
    executed_counter = device.armed_counter,
    restarts_until = u.restarts_until,
    activation_release = device.armed_release,
    activations_tried = u.attempt,
    activated_release = case when u.done then device.armed_release else device.activated_release end,
    activated_firmware = case when u.done then u.firmware else device.activated_firmware end,
    activated_at = case when u.done then $7 else device.activated_at end,
    activations = case
        when not u.done then device.activations
        when device.activated_release = device.armed_release then device.activations + 1
        else 1
    end,
    held_firmware = case when u.keeps_image then device.held_firmware end,
    held_hash = case when u.keeps_image then device.held_hash end,
    armed_release = null, armed_hash = null, armed_counter = null, activate_at = null
from unnest($1::bigint[], $2::boolean[], $3::text[], $4::bigint[], $5::int[], $6::timestamptz[], $8::boolean[])
    u(hub, done, firmware, alert_counter, attempt, restarts_until, keeps_image)
where device.hub = u.hub;

-- name: put_off_activation
-- A hub that is armed acts at another time.
update device set activate_at = $2 where hub = $1 and activate_at is not null;
