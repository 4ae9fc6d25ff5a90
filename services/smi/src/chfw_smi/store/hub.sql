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

-- name: find_own_hub
-- The line of a hub that a User ID of a Party answers for. That of another, and none, take the same time to be not found.
select * from hub
where hub = $1 and ((import_party = $2 and import_user = $3) or (gas_party = $2 and gas_user = $3));

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
