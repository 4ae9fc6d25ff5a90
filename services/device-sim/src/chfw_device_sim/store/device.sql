-- name: load_devices
-- New devices; a known one is its own truth and stays as it is.
insert into device (hub, part, region, manufacturer, model, hardware, firmware)
select * from unnest($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
on conflict (hub) do nothing;

-- name: page_devices
-- A page of all devices by id, for reconciliation.
select
    hub, region, manufacturer, model, hardware, firmware, held_firmware, counter, armed_release, activate_at,
    alert_counter, activated_release, activated_firmware, activated_at, activations
from device where hub >= $1 order by hub limit $2;
