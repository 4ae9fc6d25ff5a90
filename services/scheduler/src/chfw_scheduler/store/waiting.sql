-- name: keep
-- Instructions of a release that is not known yet.
insert into waiting_instruction (release_id, part, payload, kept_at)
select $1, $2, u.payload, $4 from unnest($3::bytea[]) with ordinality u(payload, n) order by u.n;

-- name: any_for
-- Whether instructions wait for a release.
select exists (select from waiting_instruction where release_id = $1);

-- name: take
-- The next instruction that waits for a release, taken out.
delete from waiting_instruction
where id = (select id from waiting_instruction where release_id = $1 order by id limit 1)
returning part, payload;

-- name: oldest
-- Releases that instructions wait for, and since when the oldest does.
select release_id, min(kept_at) as since from waiting_instruction group by release_id order by release_id;
