-- name: keep
-- Keep what the ledger told, by the highest version. A hub that no release has held yet, and for which no time was
-- proposed, gets no row; a class that has not changed is not written again: a repeat of anything between could only say
-- the same. $7 are the showings that occur, `n` is the place of one in it (null: none); what was shown once stays.
-- Where a batch itself told of more than one class (`moved`), its last version must be kept, or a repeat of one of the
-- others would count. Once a record of the partition was parked, every version is kept: handed in again, it comes after
-- newer words on its hubs.
-- Two of three words are on hubs that have a row: to update those plainly takes half the time of an insert that
-- conflicts. The words on a hub come through one partition, so no two transactions have the same hub. Each row is looked
-- up by itself: left to join, Postgres reads every row of the release as long as it believes that there are few.
with parked as materialized (
    select exists (select from parked_offset where topic = $8 and partition = $9) as ever
), told as (
    select u.hub, u.version, u.class, u.moved or parked.ever as moved, $7::jsonb -> u.n as shows
    from parked, unnest($2::bigint[], $3::bigint[], $4::text[], $5::boolean[], $6::int[]) u(hub, version, class, moved, n)
), known as materialized (
    select u.*, s.row, coalesce(s.before < u.version and (u.moved or s.was <> u.class), false) as turns,
           u.shows is not null and not coalesce(s.shown @> u.shows, false) as shows_more
    from told u
    left join lateral (
        select s.ctid as row, s.version as before, s.class as was, s.shown from hub_standing s
        where s.hub = u.hub and s.release_id = $1 offset 0
    ) s on true
), changed as (
    update hub_standing s
    set version = case when u.turns then u.version else s.version end,
        class = case when u.turns then u.class else s.class end,
        shown = case when u.shows_more then s.shown || u.shows else s.shown end
    from known u
    where s.ctid = u.row and (u.turns or u.shows_more)
)
insert into hub_standing (hub, release_id, version, class, shown)
select u.hub, $1, u.version, u.class, coalesce(u.shows, '[]') from known u
where u.row is null and (u.moved or u.class <> 'open' or u.shows_more)

-- name: shown_to
-- Those of these hubs that have this showing.
select hub from hub_standing where release_id = $1 and hub = any($2::bigint[]) and shown ? $3 order by hub

-- name: of_hubs
-- Where these hubs stand in releases that are neither stopped nor revoked.
select s.hub, s.release_id, s.class
from hub_standing s left join decision d using (release_id)
where s.hub = any($1::bigint[]) and s.class <> 'open' and (d.mode is null or d.mode not in ('stop', 'revoked'))
order by s.hub, s.release_id
