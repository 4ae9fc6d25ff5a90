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

-- name: suppliers_among
-- Which of these Parties are Suppliers.
select party from party where party = any($1::text[]) and role = 'supplier' order by party

-- name: lock_parties
-- The feeds of these Parties, locked until the transaction ends, so that numbers become visible in their order. Locks
-- nothing and gives no rows when one of them is unknown: to join, a Party needs the fan-out lock, which comes before.
select party from party
where party = any($1::text[])
  and (select count(*) from party known where known.party = any($1::text[])) = cardinality($1::text[])
order by party for update

-- name: append
-- Append in the order given; what a Party was told before is left out. In a statement after lock_parties: only then are
-- the last numbers, and what others told meanwhile, those of the moment.
with asked as (
    select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::json[])
        with ordinality u(party, event_id, kind, release_id, at, payload, n)
), fresh as (
    select a.*, row_number() over (partition by a.party order by a.n) as more from asked a
    where not exists (select from feed f where f.party = a.party and f.event_id = a.event_id)
), appended as (
    insert into feed (party, seq, event_id, kind, release_id, at, payload, size)
    select f.party, p.last_seq + f.more, f.event_id, f.kind, f.release_id, f.at, f.payload,
           octet_length(f.payload::text)
    from fresh f join party p using (party) order by f.n
)
update party set last_seq = last_seq + counted.more
from (select party, count(*) as more from fresh group by party) counted where party.party = counted.party

-- name: feed
-- What a Party was told after a number, in its order: so many, and no more once so many bytes are full.
select seq, kind, release_id, at, payload from (
    select seq, kind, release_id, at, payload, sum(size) over (order by seq) - size as before
    from feed where party = $1 and seq > $2 order by seq limit $3
) page
where before < $4 order by seq

-- name: tell_lapses
-- Note lapsed instructions; gives back those that are news to their Party.
insert into lapse_told (release_id, hub, party)
select $1, u.hub, u.party from unnest($2::bigint[], $3::text[]) u(hub, party) order by u.hub, u.party
on conflict do nothing returning hub, party
