-- name: add_release
-- Announce a release; says whether the id is new.
insert into release (release_id, version, notice, notified_at, automatic_date, waves) values ($1, $2, $3, $4, $5, $6)
on conflict (release_id) do nothing returning release_id

-- name: revise_release
-- The next version of a notice.
update release set version = $2, notice = $3 where release_id = $1 and version = $2 - 1

-- name: move_release
-- Keep the decision in force: the highest epoch.
update release
set epoch = $2, mode = $3, automatic_date = $4, waves = $5, decided = $6, decided_event = $7
where release_id = $1 and epoch < $2

-- name: keep_progress
-- Keep the last totals told: those of the highest instant, and of two at one instant the later to come.
update release set progressed = $2, progressed_event = $3, progressed_at = $4
where release_id = $1 and (progressed_at is null or progressed_at <= $4)

-- name: release
-- One release.
select * from release where release_id = $1

-- name: releases
-- All releases, the newest notice first.
select * from release order by notified_at desc, release_id

-- name: open_releases
-- Releases that are neither stopped nor revoked, in the order of their notices.
select * from release where mode not in ('stop', 'revoked') order by notified_at, release_id

-- name: add_parties
-- Who is given the notice of a release.
insert into release_party (release_id, party)
select $1, p from unnest($2::text[]) p order by p on conflict do nothing

-- name: parties_of
-- Who was given the notice of a release.
select party from release_party where release_id = $1 order by party
