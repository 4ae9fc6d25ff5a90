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
-- What is due first: of which Party, release and kind, and when.
select due, party, release_id, kind from gathered order by due, party, release_id, kind limit 1

-- name: take
-- Take what is due at an instant of one Party, release and kind, partition by partition in order until so many hubs are
-- full: where it ends depends on nobody else's hubs. It is told in the same transaction.
with parts as (
    select part, sum(sum(hubs)) over (order by part) - sum(hubs) as before from gathered
    where due = $1 and party = $2 and release_id = $3 and kind = $4 group by part
)
delete from gathered g using parts p
where g.due = $1 and g.party = $2 and g.release_id = $3 and g.kind = $4 and g.part = p.part and p.before < $5
returning g.id, g.payload

-- name: drop
-- What was gathered of a kind about a release is out of date.
delete from gathered where release_id = $1 and kind = $2

-- name: put_off
-- Tell it at another time.
update gathered set due = $4 where party = $1 and release_id = $2 and kind = $3
