-- name: upsert_release
-- A notice; a lower version than the one known changes nothing. An entry that becomes Active later says since when.
insert into release (release_id, version, manufacturer, model, hardware, firmware, image_hash, predecessors,
                     gbcs_versions, cpl_state, rule, lone_lead, answer_min, first_automatic_date, first_waves,
                     pilot_opens, notified_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
on conflict (release_id) do update
set version = excluded.version, cpl_state = excluded.cpl_state, predecessors = excluded.predecessors,
    gbcs_versions = excluded.gbcs_versions,
    cpl_active_since = case
        when excluded.cpl_state = 'Active' and release.cpl_state <> 'Active' then $18::timestamptz
        else release.cpl_active_since
    end
where excluded.version > release.version;

-- name: own_enrolment
-- Have the advisory lock of the enrolment in a partition alone; gives the releases in the order in which their rows are
-- locked.
with alone as materialized (select pg_advisory_xact_lock($1))
select release_id from release cross join alone order by release_id;

-- name: read_rollouts
-- Releases with the decision in force, and whether a record of theirs is out of line; all of them, or those named.
select r.*, d.epoch, d.min_epoch, d.mode, d.mode_since, d.automatic_date, d.waves,
       exists (select from out_of_line o where o.release_id = r.release_id) as stands_still
from release r left join decision d using (release_id)
where $1::text[] is null or release_id = any($1)
order by release_id;

-- name: upsert_decision
-- The decision of the highest epoch; gives the row only when it is news.
insert into decision (release_id, epoch, min_epoch, mode, mode_since, automatic_date, waves)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (release_id) do update
set epoch = excluded.epoch, min_epoch = greatest(decision.min_epoch, excluded.min_epoch), mode = excluded.mode,
    mode_since = excluded.mode_since, automatic_date = excluded.automatic_date, waves = excluded.waves
where excluded.epoch > decision.epoch
returning epoch;

-- name: read_decision
-- The decision in force, if there is one.
select * from decision where release_id = $1;

-- name: begin_fencing
-- A halt is stored; until every edge has acknowledged, or the last permit has run out, it is not effective.
update decision set fencing_epoch = $2, effective_by = $3, effective_at = null where release_id = $1;

-- name: upsert_fence
-- What an edge has acknowledged; it never goes back.
insert into fence (release_id, edge, min_epoch) values ($1, $2, $3)
on conflict (release_id, edge) do update set min_epoch = greatest(fence.min_epoch, excluded.min_epoch);

-- name: count_fenced
-- How many of the edges obey at least this epoch.
select count(*) from fence where release_id = $1 and edge = any($2::text[]) and min_epoch >= $3;

-- name: make_effective
-- The halt of this epoch, which waits, is effective from now on; gives its epoch the first time only.
update decision set effective_at = $3, fencing_epoch = null where release_id = $1 and fencing_epoch = $2
returning $2::int;

-- name: expire
-- The halt that waits is effective from now on if its own `effective_by` has come; gives its epoch. Nobody else changes
-- the row meanwhile: the caller owns the release.
with waiting as (
    select release_id, fencing_epoch from decision
    where release_id = $1 and fencing_epoch is not null and effective_by <= $2
)
update decision set effective_at = $2, fencing_epoch = null
from waiting where decision.release_id = waiting.release_id
returning waiting.fencing_epoch;

-- name: earliest_effective_by
-- When the permits of the release that waits longest for its edges have all run out.
select release_id, effective_by from decision where fencing_epoch is not null order by effective_by, release_id limit 1;

-- name: put_off_effective
-- The halt that waits is effective at another time.
update decision set effective_by = $2 where release_id = $1 and fencing_epoch is not null;

-- name: insert_anomalies
-- Contradictions, each once.
insert into anomaly (release_id, hub, kind, ref, at)
select $1, u.hub, u.kind, u.ref, $5 from unnest($2::bigint[], $3::text[], $4::text[]) u(hub, kind, ref)
order by u.hub, u.kind, u.ref
on conflict do nothing;

-- name: insert_late_answers
-- Answers that met an armed hub, each once.
insert into late_answer (release_id, hub, party, party_seq, request_id, at)
select $1, u.hub, $3, $4, $5, $6 from unnest($2::bigint[]) u(hub) order by u.hub
on conflict do nothing returning hub;

-- name: late_before
-- Which of these hubs were armed when this answer, or a newer one of the Party, first came.
select distinct hub from late_answer
where release_id = $1 and hub = any($2::bigint[]) and party = $3 and party_seq >= $4
order by hub;

-- name: count_anomalies
-- Contradictions per release.
select release_id, count(*) as n from anomaly group by release_id order by release_id;
