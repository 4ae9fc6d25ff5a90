-- name: write_events
-- Write the events of one cause in their order. The transaction gets its number before an id is given out: a relay
-- relies on it (`Floor`).
with writer as materialized (select pg_current_xact_id() as number)
insert into outbox (lane, topic, partition, key, event_id, event_type, payload, event_time, written_at)
select u.lane, u.topic, u.partition, u.key, u.event_id, u.event_type, u.payload, $8, $9
from unnest($1::smallint[], $2::text[], $3::int[], $4::bytea[], $5::uuid[], $6::text[], $7::bytea[])
    with ordinality u(lane, topic, partition, key, event_id, event_type, payload, n)
    join writer on writer.number is not null
order by u.n;

-- name: look
-- Take the lane when no other relay has it; the transaction waits for the broker, so it may be idle longer than others.
-- Say the oldest transaction that is still under way, the last id that
-- was given out, and the partitions that the lane passes by.
select pg_try_advisory_xact_lock($1) as locked,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint as oldest,
       set_config('idle_in_transaction_session_timeout', $3, true) as may_be_idle,
       coalesce(pg_sequence_last_value('outbox_id_seq'), 0) as last_id,
       array(select id from held_partition where lane = $2 order by id) as held_ids,
       array(select topic || '/' || partition from held_partition where lane = $2 order by id) as held;

-- name: take_events
-- Take the oldest events of a lane out, from an id on, but for those of some partitions; with the taking transaction.
delete from outbox
where id = any(array(
    select id from outbox
    where lane = $1 and id > $2 and topic || '/' || partition <> all($3::text[])
    order by id limit $4
))
returning *, pg_current_xact_id()::text::bigint as taken_by;

-- name: take_partition
-- Take the oldest events of one partition out.
delete from outbox
where id = any(array(
    select id from outbox where lane = $1 and topic = $2 and partition = $3 order by id limit $4
))
returning *;

-- name: put_back
-- Put events that were taken and not acknowledged back in their places.
insert into outbox (id, lane, topic, partition, key, event_id, event_type, payload, event_time, written_at)
overriding system value
select *
from unnest($1::bigint[], $2::smallint[], $3::text[], $4::int[], $5::bytea[], $6::uuid[], $7::text[], $8::bytea[],
            $9::timestamptz[], $10::timestamptz[]);

-- name: hold
-- Pass partitions by from now on: they are tried apart from the lane.
insert into held_partition (lane, topic, partition, error, refused, tries, held_at, next_try_at)
select $1, h.topic, h.partition, h.error, h.refused, 0, $6, $6
from unnest($2::text[], $3::int[], $4::text[], $5::boolean[]) h(topic, partition, error, refused)
on conflict (lane, topic, partition) do nothing;

-- name: due_hold
-- The held partition whose next try is due longest, unless another process tries it; as for a lane.
select *, set_config('idle_in_transaction_session_timeout', $3, true) as may_be_idle
from held_partition where lane = $1 and next_try_at <= $2
order by next_try_at, id limit 1 for update skip locked;

-- name: tried
-- Another try of a held partition has failed.
update held_partition set tries = tries + 1, error = $2, refused = $3, next_try_at = $4 where id = $1;

-- name: moved_on
-- Some events of a held partition have left; the next try is due at once, and takes events together again.
update held_partition set tries = 0, refused = false, next_try_at = $2 where id = $1;

-- name: release
-- The lane takes the partition again.
delete from held_partition where id = $1;

-- name: park_event
-- Keep an event that the broker refuses, with the reason.
insert into parked_event
    (lane, topic, partition, key, event_id, event_type, payload, event_time, written_at, error, parked_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);
