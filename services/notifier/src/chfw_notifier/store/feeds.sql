-- name: lock_fan_out
-- One at a time: who joins, and who tells everybody. Otherwise a Party that joins meanwhile would miss it.
select pg_advisory_xact_lock($1)

-- name: known_parties
-- Which of these Parties are known.
select party from party where party = any($1::text[]) order by party

-- name: add_parties
-- Parties seen for the first time.
insert into party (party, role)
select u.party, u.role from unnest($1::text[], $2::text[]) u(party, role) order by u.party
on conflict do nothing returning party

-- name: all_parties
-- Everybody.
select party from party order by party

-- name: lock_parties
-- The last number of each feed, locked until the transaction ends: numbers become visible in their order.
select party, last_seq from party where party = any($1::text[]) order by party for update

-- name: told_before
-- Which of these were told before.
select f.party, f.event_id
from unnest($1::text[], $2::uuid[]) asked(party, event_id) join feed f using (party, event_id)
order by f.party, f.event_id

-- name: move_parties
-- The last number of each feed after an append.
update party set last_seq = moved.last_seq
from unnest($1::text[], $2::bigint[]) moved(party, last_seq) where party.party = moved.party

-- name: feed
-- What a Party was told after a number, in its order.
select seq, kind, release_id, at, payload from feed where party = $1 and seq > $2 order by seq limit $3

-- name: tell_lapses
-- Note lapsed instructions; gives back those that are news to their Party.
insert into lapse_told (release_id, hub, party)
select $1, u.hub, u.party from unnest($2::bigint[], $3::text[]) u(hub, party) order by u.hub, u.party
on conflict do nothing returning hub, party
