-- name: open_release
-- A release begins at epoch 0, held, at the dates of its notice; a later notice says no more than whether its CPL entry
-- is Active.
insert into release (release_id, version, notified_at, mode_since, automatic_date, waves, cpl_active)
values ($1, $2, $3, $3, $4, $5, $6)
on conflict (release_id) do update set version = excluded.version, cpl_active = excluded.cpl_active
where release.version < excluded.version

-- name: lock_release
-- Where a release stands, locked: nobody else gives it an epoch.
select * from release where release_id = $1 for update

-- name: move_release
-- Where a release stands after a decision.
update release
set epoch = $2, min_epoch = $3, mode = $4, mode_since = $5, automatic_date = $6, waves = $7, paused_from = $8,
    confirmed = $9
where release_id = $1

-- name: add_decision
-- Write a decision down.
insert into decision (release_id, epoch, min_epoch, mode, automatic_date, waves, reason, confirmed_by, decided_by,
                      decided_at, without_pilot)
values ($1, $2, $3, $4, $5, $6, $7, $8, $10, $11, $9)

-- name: pilot_tried
-- Whether a hub of the pilot has come to an end: it was activated, or it is final without having left the estate.
select exists (
    select from scheduler_published.ledger
    where release_id = $1 and pilot and state in ('activated', 'confirmed', 'failed_final')
)

-- name: report_decision
-- What the scheduler reports of a decision. The state only moves on; the count is that of the latest report.
insert into decision_report (release_id, epoch, state, at_risk, reported_at)
select release_id, epoch, $3, $4, $5 from decision where release_id = $1 and epoch = $2
on conflict (release_id, epoch) do update
set state = case when $3 = 'effective' or (decision_report.state = 'requested' and $3 = 'fencing') then $3
                 else decision_report.state end,
    at_risk = case when $5 >= decision_report.reported_at then $4 else decision_report.at_risk end,
    reported_at = greatest(decision_report.reported_at, $5)

-- name: report_earlier
-- What is at risk of an earlier halt is at risk of a later one too, so the count of the later one bounds the earlier.
update decision_report set at_risk = least(at_risk, $3) where release_id = $1 and epoch < $2 and at_risk > $3

-- name: knows_release
-- Whether a release is known here.
select exists (select 1 from release where release_id = $1)

-- name: decisions
-- The decisions on a release in the order of their epochs, each with what became of it.
select d.*, coalesce(r.state, 'requested') as state, r.at_risk
from decision d left join decision_report r using (release_id, epoch)
where d.release_id = $1 order by d.epoch
