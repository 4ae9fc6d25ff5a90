-- name: keep
-- Keep what the ledger told, by the highest version. A hub that no release has held yet gets no row, and a class that
-- has not changed is not written again: a repeat of anything between could only say the same. Where a batch itself told
-- of more than one class (`moved`), its last version must be kept, or a repeat of one of the others would count.
insert into hub_standing (hub, release_id, version, class)
select u.hub, $1, u.version, u.class
from unnest($2::bigint[], $3::int[], $4::text[], $5::boolean[]) u(hub, version, class, moved)
left join hub_standing s on s.hub = u.hub and s.release_id = $1
where u.moved or u.class <> coalesce(s.class, 'open')
order by u.hub
on conflict (hub, release_id) do update
set version = excluded.version, class = excluded.class
where hub_standing.version < excluded.version

-- name: of_hubs
-- Where these hubs stand in releases that are neither stopped nor revoked.
select s.hub, s.release_id, s.class
from hub_standing s left join decision d using (release_id)
where s.hub = any($1::bigint[]) and s.class <> 'open' and (d.mode is null or d.mode not in ('stop', 'revoked'))
order by s.hub, s.release_id
