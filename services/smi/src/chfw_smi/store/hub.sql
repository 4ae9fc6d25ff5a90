-- name: lock_hubs
-- The lines of these hubs, locked in order until the transaction ends.
select * from hub where hub = any($1::bigint[]) order by hub for update;

-- name: lock_heard
-- What no word of these hubs changes, then what they have said, locked in order until the transaction ends.
select
    hub, part, gpf, device_type, status, manufacturer, model, hardware, gbcs, region, import_party, import_user,
    import_since, gas_party, gas_user, gas_since,
    firmware, firmware_at, smi_version, alert_release, alert_counter, read_release, read_counter
from hub where hub = any($1::bigint[]) order by hub for update;

-- name: find_hub
-- One line, to look at.
select * from hub where hub = $1;

-- name: insert_hubs
-- New lines, all columns but what only observations fill.
insert into hub (
    hub, part, gpf, device_type, status, status_since, manufacturer, model, hardware, firmware, gbcs, region,
    import_party, import_user, import_since, gas_party, gas_user, gas_since, smi_version
)
select * from unnest(
    $1::bigint[], $2::smallint[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::timestamptz[], $16::text[],
    $17::text[], $18::timestamptz[], $19::bigint[]
);

-- name: free_gpfs
-- Lines that are about to be rewritten give up their GPFs first, so that two hubs may swap theirs.
update hub set gpf = null where hub = any($1::bigint[]) and gpf is not null;

-- name: update_hubs
-- Lines as a load or a change of Supplier states them.
update hub set
    gpf = u.gpf, device_type = u.device_type, status = u.status, status_since = u.status_since,
    manufacturer = u.manufacturer, model = u.model, hardware = u.hardware, firmware = u.firmware,
    firmware_at = u.firmware_at, gbcs = u.gbcs, region = u.region, import_party = u.import_party,
    import_user = u.import_user, import_since = u.import_since, gas_party = u.gas_party, gas_user = u.gas_user,
    gas_since = u.gas_since, smi_version = u.smi_version
from unnest(
    $1::bigint[], $2::smallint[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::timestamptz[], $16::text[],
    $17::text[], $18::timestamptz[], $19::bigint[], $20::timestamptz[]
) u(
    hub, part, gpf, device_type, status, status_since, manufacturer, model, hardware, firmware, gbcs, region,
    import_party, import_user, import_since, gas_party, gas_user, gas_since, smi_version, firmware_at
)
where hub.hub = u.hub;

-- name: update_suppliers
-- Who answers for hubs, after changes of Supplier.
update hub set
    import_party = u.import_party, import_user = u.import_user, import_since = u.import_since,
    gas_party = u.gas_party, gas_user = u.gas_user, gas_since = u.gas_since, smi_version = u.smi_version
from unnest(
    $1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::timestamptz[], $8::bigint[]
) u(hub, import_party, import_user, import_since, gas_party, gas_user, gas_since, smi_version)
where hub.hub = u.hub;

-- name: update_heard
-- What alerts and reads said: the CHF's version, and what absorbs their repeats. No indexed column changes.
update hub set
    firmware = u.firmware, firmware_at = u.firmware_at, smi_version = u.smi_version, alert_release = u.alert_release,
    alert_counter = u.alert_counter, read_release = u.read_release, read_counter = u.read_counter
from unnest(
    $1::bigint[], $2::text[], $3::timestamptz[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::bigint[]
) u(hub, firmware, firmware_at, smi_version, alert_release, alert_counter, read_release, read_counter)
where hub.hub = u.hub;

-- name: put_gpfs
-- GPF rows as loaded with their hubs.
insert into gpf (gpf, manufacturer, model, firmware)
select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
on conflict (gpf) do update set
    manufacturer = excluded.manufacturer, model = excluded.model, firmware = excluded.firmware;

-- name: drop_gpfs
-- GPF rows that no hub names any longer.
delete from gpf where gpf = any($1::bigint[]) and not exists (select 1 from hub where hub.gpf = gpf.gpf);

-- name: update_gpf_firmware
-- The version of GPFs whose CHF has changed its own.
update gpf set firmware = u.firmware
from unnest($1::bigint[], $2::text[]) u(gpf, firmware)
where gpf.gpf = u.gpf;
