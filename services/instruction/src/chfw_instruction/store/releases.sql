-- name: save_notice
-- Keep a notice unless a newer version is known.
insert into release (release_id, version, image, cpl_active, rule, automatic_date, waves, pilot_opens, pilot_places)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (release_id) do update
set version = excluded.version, image = excluded.image, cpl_active = excluded.cpl_active, rule = excluded.rule,
    automatic_date = excluded.automatic_date, waves = excluded.waves, pilot_opens = excluded.pilot_opens,
    pilot_places = excluded.pilot_places
where release.version < excluded.version

-- name: save_decision
-- Keep a decision unless a newer epoch is known.
insert into decision (release_id, epoch, mode, automatic_date, waves)
values ($1, $2, $3, $4, $5)
on conflict (release_id) do update
set epoch = excluded.epoch, mode = excluded.mode, automatic_date = excluded.automatic_date, waves = excluded.waves
where decision.epoch < excluded.epoch

-- name: terms
-- A release with the decision in force; without one it is held, and dates and waves are those of its notice.
select r.release_id, r.image, r.cpl_active, r.rule, r.pilot_opens, r.pilot_places, coalesce(d.mode, 'held') as mode,
       coalesce(d.automatic_date, r.automatic_date) as automatic_date, coalesce(d.waves, r.waves) as waves
from release r left join decision d using (release_id)
where r.release_id = $1
