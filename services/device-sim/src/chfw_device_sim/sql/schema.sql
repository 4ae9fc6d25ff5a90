-- One row per Communications Hub: what the box itself knows. Nobody else writes it, and no inventory is asked.
create table device (
    hub bigint primary key,
    part smallint not null,
    region text not null,
    manufacturer text not null,
    model text not null,
    hardware text not null,
    firmware text not null,
    -- the image that comes: it travels and arrives at `deliver_at`, or waits in its region's queue under `queue_no`
    coming_release text,
    coming_firmware text,
    coming_hash text,
    coming_epoch bigint,
    deliver_at timestamptz,
    queue_no bigint,
    delivery_release text,
    deliveries int not null default 0,
    -- the image it holds
    held_firmware text,
    held_hash text,
    -- the highest command counter seen, and the answer given to it
    counter bigint not null default 0,
    receipt_kind text,
    receipt_release text,
    receipt_epoch bigint,
    receipt_at timestamptz,
    receipt_reason text,
    receipt_firmware text,
    -- the activation it will do by itself
    armed_release text,
    armed_hash text,
    armed_counter bigint,
    activate_at timestamptz,
    activation_release text,
    activations_tried int not null default 0,
    executed_counter bigint not null default 0,
    restarts_until timestamptz,
    alert_counter bigint not null default 0,
    -- evidence: the release activated last, when, and how often (never more than once)
    activated_release text,
    activated_firmware text,
    activated_at timestamptz,
    activations int not null default 0,
    check ((coming_release is null) = (deliver_at is null and queue_no is null)),
    check (deliver_at is null or queue_no is null),
    check ((activate_at is null) = (armed_release is null))
) with (fillfactor = 70);
create index device_deliver on device (part, deliver_at, hub) where deliver_at is not null;
create index device_queue on device (region, queue_no) where queue_no is not null;
create index device_activate on device (part, activate_at, hub) where activate_at is not null;

-- How full each region is: deliveries on the air, deliveries that wait, the next number of its queue, and when the next
-- delivery may begin. Rows are made when first asked for.
create table lane (
    region text primary key,
    in_flight int not null default 0 check (in_flight >= 0),
    queued int not null default 0 check (queued >= 0),
    next_no bigint not null default 1,
    free_at timestamptz
) with (fillfactor = 50);

-- What hubs have said and nobody hears yet: late, out of reach, restarting, or said twice. Most words never come here.
create table later (
    id bigint generated always as identity primary key,
    part smallint not null,
    due_at timestamptz not null,
    hub bigint not null,
    release_id text not null,
    topic text not null,
    item text not null
);
create index later_due on later (part, due_at, id);

-- What each CSP edge obeys for a release: nothing older than `min_epoch` is forwarded. It never goes down.
create table fence (
    release_id text not null,
    edge text not null,
    min_epoch bigint not null check (min_epoch >= 0),
    fenced_at timestamptz,
    primary key (release_id, edge)
);

-- What came in and fits nothing known: answered by nobody, kept for a person.
create table anomaly (
    id bigint generated always as identity primary key,
    what text not null,
    hub bigint not null,
    release_id text not null,
    counter bigint not null,
    seen_at timestamptz not null,
    unique (what, hub, release_id, counter)
);
