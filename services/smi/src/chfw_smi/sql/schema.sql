-- One row per CHF. `smi_version` counts the row's changes; `alert_counter` and `read_counter` are the highest seen, so a
-- repeat is told once; `firmware_at` is when the hub ran `firmware` for certain (null: nothing but a load has said so).
create table hub (
    hub bigint primary key,
    part smallint not null,
    gpf bigint,
    device_type text not null,
    status text not null,
    status_since timestamptz not null,
    manufacturer text not null,
    model text not null,
    hardware text not null,
    firmware text not null,
    firmware_at timestamptz,
    gbcs text not null,
    region text not null,
    import_party text,
    import_user text,
    import_since timestamptz,
    gas_party text,
    gas_user text,
    gas_since timestamptz,
    smi_version bigint not null check (smi_version > 0),
    alert_release text,
    alert_counter bigint not null default 0,
    read_release text,
    read_counter bigint not null default 0,
    constraint hub_gpf_is_of_one_hub unique (gpf),
    check ((import_party is null) = (import_user is null) and (import_party is null) = (import_since is null)),
    check ((gas_party is null) = (gas_user is null) and (gas_party is null) = (gas_since is null))
) with (fillfactor = 70);
create index hub_model on hub (manufacturer, model, hub);
-- A Supplier's estate, page by page. These columns change with the Supplier only, so a new firmware stays in place.
create index hub_import_party on hub (import_party, hub);
create index hub_gas_party on hub (gas_party, hub);

-- The statuses that applied once to a hub, each with the date from which it applied; the present one stands in its row.
-- Written only when a status changes; `smi_version` is the change that ended it.
create table former_status (
    hub bigint not null references hub,
    smi_version bigint not null,
    status text not null,
    since timestamptz not null,
    until timestamptz not null,
    primary key (hub, smi_version)
);

-- The Gas Proxy Function of a hub: a device of its own in the inventory, and the same box, so the same maker, model and
-- firmware. It has no facts of its own, so no row that could contradict the hub's.
create view gpf as select gpf, manufacturer, model, firmware from hub where gpf is not null;

-- What came in and fits nothing known: told to nobody, kept for a person.
create table anomaly (
    id bigint generated always as identity primary key,
    what text not null,
    hub bigint not null,
    release_id text not null,
    counter bigint not null,
    seen_at timestamptz not null,
    unique (what, hub, release_id, counter)
);

-- What was answered to which key of which Party: the same request gets the same answer.
create table answered_request (
    party text not null,
    key text not null,
    digest bytea not null,
    answer jsonb not null,
    constraint answered_once primary key (party, key)
);

create view smi_published.hub as
select
    hub, part, device_type, status, manufacturer, model, hardware, firmware, gbcs, region,
    import_party, import_user, import_since, gas_party, gas_user, gas_since, smi_version
from hub;
