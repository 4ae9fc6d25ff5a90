-- name: gather
-- Keep what Parties are to be told later; what an event told before is left out, whoever it told.
with asked as (
    select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::smallint[], $6::timestamptz[], $7::json[],
                         $8::int[])
        with ordinality u(party, event_id, kind, release_id, part, due, payload, hubs, n)
), fresh as (
    insert into heard_event (event_id) select distinct event_id from asked order by event_id
    on conflict do nothing returning event_id
)
insert into gathered (party, kind, release_id, part, due, payload, hubs)
select a.party, a.kind, a.release_id, a.part, a.due, a.payload, a.hubs from asked a join fresh using (event_id) order by a.n

-- name: earliest
-- When something is due first.
select due from gathered order by due limit 1

-- name: lock_due
-- The feeds of the Parties that are to be told something at an instant, locked in order.
select party from party where party in (select party from gathered where due = $1) order by party for update

-- name: due
-- Of whom, which release and what kind something is due at an instant: so many at most, and none behind those with which
-- so many hubs are full.
select party, release_id, kind from (
    select party, release_id, kind, sum(sum(hubs)) over (order by party, release_id, kind) - sum(hubs) as before
    from gathered where due = $1 group by party, release_id, kind
) found
where before < $2 order by party, release_id, kind limit $3

-- name: take
-- Take it, of each Party, release and kind partition by partition in order until so many hubs are full: where that ends
-- depends on nobody else's hubs. It is told in the same transaction.
with parts as (
    select g.party, g.release_id, g.kind, g.part,
           sum(sum(g.hubs)) over (partition by g.party, g.release_id, g.kind order by g.part) - sum(g.hubs) as before
    from gathered g
    join unnest($2::text[], $3::text[], $4::text[]) u(party, release_id, kind) using (party, release_id, kind)
    where g.due = $1 group by g.party, g.release_id, g.kind, g.part
)
delete from gathered g using parts p
where g.due = $1 and g.party = p.party and g.release_id = p.release_id and g.kind = p.kind and g.part = p.part
  and p.before < $5
returning g.id, g.party, g.release_id, g.kind, g.payload

-- name: drop
-- What was gathered of a kind about a release is out of date.
delete from gathered where release_id = $1 and kind = $2

-- name: put_off
-- Tell it at another time.
update gathered set due = $4 where party = $1 and release_id = $2 and kind = $3
