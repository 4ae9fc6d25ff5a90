-- name: lock_pilot
-- The pilot of a release, locked: one list at a time fills it.
select release_id from release where release_id = $1 for update

-- name: pilot_size
-- How many hubs the lists of a Party name.
select count(*) from pilot_hub where release_id = $1 and party = $2

-- name: pilot_members
-- Those of these hubs that the lists of a Party name.
select hub from pilot_hub where release_id = $1 and hub = any($2::bigint[]) and party = $3 order by hub

-- name: pilot_of_others
-- Those of these hubs that another Party's list names.
select distinct hub from pilot_hub where release_id = $1 and hub = any($2::bigint[]) and party <> $3 order by hub

-- name: add_pilot
-- Put a Party's accepted hubs into the pilot.
insert into pilot_hub (release_id, hub, party)
select $1, u.hub, $3 from unnest($2::bigint[]) u(hub)
on conflict do nothing

-- name: leave_pilot
-- A Party has answered otherwise for these hubs: its list no longer names them.
delete from pilot_hub where release_id = $1 and hub = any($2::bigint[]) and party = $3
