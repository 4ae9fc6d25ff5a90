-- The scheduler: releases, the decision in force, and the ledger of what is known of each hub in each release.

create table release (
    release_id text primary key,
    version int not null,
    manufacturer text not null,
    model text not null,
    hardware text[] not null,
    firmware text not null,
    image_hash text not null,
    predecessors text[] not null,
    gbcs_versions text[] not null,
    cpl_state text not null,
    cpl_active_since timestamptz,
    rule text not null check (rule in ('voluntary', 'mandatory')),
    lone_lead interval not null,
    answer_min interval not null,
    first_automatic_date timestamptz not null,
    first_waves jsonb not null,
    pilot_opens timestamptz not null,
    notified_at timestamptz not null
);

-- The decision of the highest epoch of each release; it may be known before the release is.
create table decision (
    release_id text primary key,
    epoch int not null check (epoch > 0),
    min_epoch int not null check (min_epoch between 0 and epoch),
    mode text not null check (mode in ('held', 'pilot', 'run', 'pause', 'stop', 'revoked')),
    mode_since timestamptz not null,
    automatic_date timestamptz not null,
    waves jsonb not null,
    fencing_epoch int,
    effective_by timestamptz,
    effective_at timestamptz
);

-- Which minimum epoch each CSP edge has acknowledged.
create table fence (
    release_id text not null,
    edge text not null,
    min_epoch int not null,
    primary key (release_id, edge)
);

-- The highest originator counter that was given to a hub of a partition, whatever the release. Its row is the lock under
-- which counters are given, so they grow for every hub in the order in which commands are published.
create table originator_counter (
    part smallint primary key,
    last bigint not null
);

-- Instructions whose release is not known yet: its notice was parked, or has not come. Merged when it comes.
create table waiting_instruction (
    id bigint generated always as identity primary key,
    release_id text not null,
    part smallint not null,
    payload bytea not null,
    -- Machine time: what waits too long is an alarm.
    kept_at timestamptz not null
);
create index waiting_instruction_release on waiting_instruction (release_id, id);

-- One row per (release, hub): facts, and behind them what they amount to. Neighbours in a partition lie together.
create table ledger (
    release_id text not null,
    part smallint not null,
    hub bigint not null,
    version bigint not null,
    -- inventory
    smi_version bigint not null,
    smi_firmware text not null,
    smi_status text not null,
    smi_region text not null,
    -- what the hub is: device type, manufacturer, model, hardware, GBCS version; the same text for hubs that are alike
    smi_make json not null,
    import_party text,
    import_user text,
    import_since timestamptz,
    gas_party text,
    gas_user text,
    gas_since timestamptz,
    -- consent: the newest answer of each Party; json, not jsonb: the same answers are the same text, and known by it
    answers json not null,
    answer_closed timestamptz,
    automatic_due timestamptz,
    -- what the Parties still see of the hub until the day is over; null: they see how it stands
    withheld json,
    withheld_until timestamptz,
    -- delivery
    dist_epoch int not null,
    dist_at timestamptz,
    dist_tries smallint not null,
    delivered_at timestamptz,
    dist_failed_at timestamptz,
    dist_refused_at timestamptz,
    dist_reason text,
    -- arming
    arm_epoch int not null,
    arm_counter bigint not null,
    arm_at timestamptz,
    arm_planned_for timestamptz,
    arm_fires_at timestamptz,
    arm_accepted_at timestamptz,
    arm_ended text,
    arm_ended_at timestamptz,
    arm_reason text,
    cancel_counter bigint not null,
    cancel_at timestamptz,
    cancel_for text,
    cancel_refused_at timestamptz,
    cancel_refusals smallint not null,
    too_late_at timestamptz,
    outcome smallint,
    outcome_at timestamptz,
    arm_tries smallint not null,
    doubted_at timestamptz,
    -- silence
    silent_since timestamptz,
    last_word_at timestamptz,
    reads smallint not null,
    read_counter bigint not null,
    read_at timestamptz,
    read_refused_at timestamptz,
    unreachable_at timestamptz,
    -- what the facts amount to
    state text not null,
    reason text,
    activate_at timestamptz,
    answer_by timestamptz,
    proposed_at timestamptz,
    pilot boolean not null,
    wave text,
    claim_at timestamptz,
    check_at timestamptz,
    primary key (release_id, part, hub)
) with (fillfactor = 70);
create index ledger_claim on ledger (release_id, part, claim_at) where claim_at is not null;
create index ledger_claim_pilot on ledger (release_id, part, claim_at) where claim_at is not null and pilot;
-- The pilot of a release, which is a few hundred hubs.
create index ledger_pilot on ledger (release_id, part, hub) where pilot;
create index ledger_check on ledger (release_id, part, check_at) where check_at is not null;
-- Hubs that wait: for the image, for an outcome, for the inventory to show the new version. Of what changes while a hub
-- goes from arming to armed nothing is in an index.
create index ledger_delivery on ledger (release_id, dist_at)
where dist_at is not null and delivered_at is null and (dist_failed_at is null or dist_failed_at < dist_at)
    and check_at is not null;
create index ledger_outcome on ledger (release_id, arm_fires_at)
where arm_fires_at is not null and arm_ended is null and outcome is null and check_at is not null;
create index ledger_confirmation on ledger (release_id, outcome_at)
where (outcome = 0 or doubted_at is not null) and check_at is not null;
-- What a halt calls back. The condition is `may_fire`; rows enter when they are armed and leave with the outcome.
create index ledger_may_fire on ledger (release_id, part, hub)
where arm_at is not null and (arm_ended is null or arm_ended = 'withheld') and outcome is null;

-- Hubs of a partition by how they are counted (state, or state:epoch while a CS06 of that epoch may fire, with -1 for an
-- epoch once it was called back): kept by the transactions that change the rows. Changed in place again and again, so
-- pages are left nearly empty.
create table tally (
    release_id text not null,
    part smallint not null,
    hubs jsonb not null,
    primary key (release_id, part)
) with (fillfactor = 20);

-- Keys whose count is not the number of rows, for an operator and for tests: empty, whenever it is asked. It reads the whole
-- ledger, so it is never asked under the lock of a release.
create view miscount as
with found as (
    select release_id, part,
        case
            when arm_at is not null and (arm_ended is null or arm_ended = 'withheld') and outcome is null
                and state <> 'confirmed' then state || ':'
                || case when arm_ended is null and cancel_for is not null and too_late_at is null then -1 else arm_epoch end
            else state
        end as key, count(*) as n
    from ledger group by 1, 2, 3
), kept as (
    select tally.release_id, tally.part, e.key, e.value::bigint as n
    from tally cross join lateral jsonb_each(tally.hubs) e
)
select release_id, part, key, coalesce(kept.n, 0) as counted, coalesce(found.n, 0) as rows
from found full join kept using (release_id, part, key)
where found.n is distinct from kept.n;

-- What rollout.progressed said last of each release. `put_off_until`: to tell of it failed again and again, so it was set
-- aside; nothing is told by itself before then.
create table told (
    release_id text primary key,
    at timestamptz not null,
    totals jsonb not null,
    at_risk int not null,
    put_off_until timestamptz
) with (fillfactor = 50);

-- Answers that met an armed hub: kept, without effect; their Party was told too_late.
create table late_answer (
    release_id text not null,
    hub bigint not null,
    party text not null,
    party_seq bigint not null,
    request_id text not null,
    at timestamptz not null,
    primary key (release_id, hub, party, party_seq)
);

-- Facts that contradicted each other.
create table anomaly (
    release_id text not null,
    hub bigint not null,
    kind text not null,
    ref text not null,
    at timestamptz not null,
    primary key (release_id, hub, kind, ref)
);

create view scheduler_published.ledger as
select release_id, hub, part, state, import_party, gas_party, activate_at, arm_fires_at as fires_at, answer_by,
       proposed_at, pilot, wave, withheld,
       -- Whether the Party that holds the role now has instructed since it answers for the hub (R3-4).
       answers::text <> '[]' and exists (
           select from json_array_elements(answers) a
           where a->>0 = import_party and a->>2 in ('instruct', 'agree') and (a->>4)::timestamptz
               >= case when gas_party = import_party then least(import_since, gas_since) else import_since end
       ) as import_instructed,
       answers::text <> '[]' and exists (
           select from json_array_elements(answers) a
           where a->>0 = gas_party and a->>2 in ('instruct', 'agree') and (a->>4)::timestamptz
               >= case when gas_party = import_party then least(import_since, gas_since) else gas_since end
       ) as gas_instructed
from ledger;

-- How hubs stand as their Parties see them: what another Party may have caused shows when its day is over. `fires_at` is
-- that of a command, and under a command nothing is withheld. The condition looks at a column that is nearly always null,
-- so the text is rarely read.
create view scheduler_published.seen as
select l.release_id, l.hub, l.part, l.import_party, l.gas_party, l.fires_at,
       case when w.kept is null then l.state else w.kept->>'state' end as state,
       case when w.kept is null then l.activate_at else (w.kept->>'activate_at')::timestamptz end as activate_at,
       case when w.kept is null then l.answer_by else (w.kept->>'answer_by')::timestamptz end as answer_by,
       case when w.kept is null then l.proposed_at else (w.kept->>'proposed_at')::timestamptz end as proposed_at,
       case when w.kept is null then l.pilot else (w.kept->>'pilot')::boolean end as pilot,
       case when w.kept is null then l.wave else w.kept->>'wave' end as wave,
       case when w.kept is null then l.import_instructed else (w.kept->>'import_instructed')::boolean end
           as import_instructed,
       case when w.kept is null then l.gas_instructed else (w.kept->>'gas_instructed')::boolean end as gas_instructed
from scheduler_published.ledger l
cross join lateral (select l.withheld as kept) w;
