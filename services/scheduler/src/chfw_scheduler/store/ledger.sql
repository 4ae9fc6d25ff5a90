-- name: lock_rows
-- The rows of hubs of one partition, locked in order.
select * from ledger where release_id = $1 and part = $2 and hub = any($3::bigint[]) order by hub for update;

-- name: lock_rows_nowait
-- The same for a transaction that must not wait any more.
select * from ledger where release_id = $1 and part = $2 and hub = any($3::bigint[]) order by hub for update nowait;
-- name: lock_claimable
-- Rows whose claim is due, the earliest first as far as the limit goes, locked in order. By an array and not by a join,
-- whose plan would hang on how fresh the statistics of `claim_at` are; so `claim_at` is asked for again.
select * from ledger
where release_id = $1 and part = $2 and claim_at <= $3 and hub = any(array(
    select hub from ledger where release_id = $1 and part = $2 and claim_at <= $3 order by claim_at, hub limit $4
))
order by hub for update skip locked;

-- name: lock_claimable_pilot
-- The same, for hubs of the pilot only.
select * from ledger
where release_id = $1 and part = $2 and claim_at <= $3 and pilot and hub = any(array(
    select hub from ledger
    where release_id = $1 and part = $2 and claim_at <= $3 and pilot order by claim_at, hub limit $4
))
order by hub for update skip locked;

-- name: lock_checkable
-- Rows for which time has become a fact, chosen and locked as for a claim.
select * from ledger
where release_id = $1 and part = $2 and check_at <= $3 and hub = any(array(
    select hub from ledger where release_id = $1 and part = $2 and check_at <= $3 order by check_at, hub limit $4
))
order by hub for update skip locked;

-- name: page_end
-- The row so many rows further on by partition and hub, if there is one: a step of a job looks at no more than a page.
select part, hub from ledger where release_id = $1 and (part, hub) > ($2, $3) order by part, hub offset $4 limit 1;

-- name: lock_between
-- The next rows of a release by partition and hub up to the end of a page, without those in the states named.
select * from ledger
where release_id = $1 and (part, hub) > ($2, $3) and (part, hub) <= ($4, $5) and state <> all($6::text[])
order by part, hub limit $7 for update;

-- name: put_off_claim
-- Claim a hub at another time, if it is to be claimed at all.
update ledger set claim_at = $4 where release_id = $1 and part = $2 and hub = $3 and claim_at is not null;

-- name: put_off_check
-- Check a hub at another time, if it is to be checked at all.
update ledger set check_at = $4 where release_id = $1 and part = $2 and hub = $3 and check_at is not null;

-- name: lock_may_fire
-- The next rows of a release by partition and hub whose CS06 is older than an epoch and may fire: it is in force, or an
-- edge withheld it, which says nothing of a copy before. One step of a job.
select * from ledger
where release_id = $1 and (part, hub) > ($2, $3)
    and arm_at is not null and (arm_ended is null or arm_ended = 'withheld') and outcome is null and arm_epoch < $4
order by part, hub limit $5 for update;

-- name: claims_due
-- The earliest claim of each partition of a release, the earliest first: one look at the index a partition.
select due.claim_at as at, p.part from generate_series(0, $2::int - 1) p(part)
cross join lateral (
    select claim_at from ledger
    where release_id = $1 and ledger.part = p.part and claim_at is not null order by claim_at limit 1
) due
order by due.claim_at, p.part;

-- name: claims_due_pilot
-- The same, for hubs of the pilot only.
select due.claim_at as at, p.part from generate_series(0, $2::int - 1) p(part)
cross join lateral (
    select claim_at from ledger
    where release_id = $1 and ledger.part = p.part and claim_at is not null and pilot order by claim_at limit 1
) due
order by due.claim_at, p.part;

-- name: checks_due
-- The earliest check of each partition of a release, the earliest first.
select due.check_at as at, p.part from generate_series(0, $2::int - 1) p(part)
cross join lateral (
    select check_at from ledger
    where release_id = $1 and ledger.part = p.part and check_at is not null order by check_at limit 1
) due
order by due.check_at, p.part;

-- name: oldest_waits
-- Since when the hub that has waited longest in each release waits: one look at an index each, which has only hubs that
-- wait. Whatever is awaited has a check to come, but for hubs that were given up as unreachable.
select r.release_id,
    (select min(dist_at) from ledger l
     where l.release_id = r.release_id and dist_at is not null and delivered_at is null
         and (dist_failed_at is null or dist_failed_at < dist_at) and check_at is not null) as delivery,
    (select min(arm_fires_at) from ledger l
     where l.release_id = r.release_id and arm_fires_at is not null and arm_ended is null and outcome is null
         and check_at is not null) as outcome,
    (select min(outcome_at) from ledger l
     where l.release_id = r.release_id and (outcome = 0 or doubted_at is not null) and check_at is not null
    ) as confirmation
from release r order by r.release_id;
