-- name: keep
-- Keep what the ledger told, by the highest version. A hub that no release has held yet gets no row, and a class that
-- has not changed is not written again: a repeat of anything between could only say the same. Where a batch itself told
-- of more than one class (`moved`), its last version must be kept, or a repeat of one of the others would count.
-- Two of three words are on hubs that have a row: to update those plainly takes half the time of an insert that
-- conflicts. The words on a hub come through one partition, so no two transactions have the same hub. Each row is looked
-- up by itself: left to join, Postgres reads every row of the release as long as it believes that there are few.
with told as (
    select * from unnest($2::bigint[], $3::int[], $4::text[], $5::boolean[]) u(hub, version, class, moved)
), known as materialized (
    select u.*, s.row, s.version as before, s.class as was from told u
    left join lateral (
        select s.ctid as row, s.version, s.class from hub_standing s
        where s.hub = u.hub and s.release_id = $1 offset 0
    ) s on true
), moved as (
    update hub_standing s set version = u.version, class = u.class from known u
    where s.ctid = u.row and u.before < u.version and (u.moved or u.was <> u.class)
)
insert into hub_standing (hub, release_id, version, class)
select u.hub, $1, u.version, u.class from known u where u.row is null and (u.moved or u.class <> 'open')

-- name: of_hubs
-- Where these hubs stand in releases that are neither stopped nor revoked.
select s.hub, s.release_id, s.class
from hub_standing s left join decision d using (release_id)
where s.hub = any($1::bigint[]) and s.class <> 'open' and (d.mode is null or d.mode not in ('stop', 'revoked'))
order by s.hub, s.release_id
