-- name: count_call
-- Count a call of a tick: the ids of its events are its own.
insert into tick_call (tick, calls) values ($1, 1)
on conflict (tick) do update set calls = tick_call.calls + 1 returning calls;

-- name: count_failure
-- Count an unexpected failure of a tick, and say how many there were since it last succeeded.
insert into tick_failure (tick, failures, error) values ($1, 1, $2)
on conflict (tick) do update set failures = tick_failure.failures + 1, error = excluded.error returning failures;

-- name: forget_failures
-- The tick has succeeded.
delete from tick_failure where tick = $1;

-- name: set_aside
-- Keep a piece of work that was put off, with the reason.
insert into set_aside (tick, work, error, set_aside_at) values ($1, $2, $3, $4)
on conflict (tick, work) do update set error = excluded.error, set_aside_at = excluded.set_aside_at, retry = false;

-- name: wanted_again
-- Work that a person wants tried again.
delete from set_aside where tick = any($1::text[]) and retry returning tick, work;

-- name: open_job
-- Of the open jobs of some kinds the oldest one of the queue whose turn it is, locked.
select * from job
where id = (
    select waiting.id
    from (
        select distinct on (queue) queue, id from job
        where state = 'open' and kind = any($1::text[]) order by queue, id
    ) waiting
    left join job_turn using (queue)
    order by greatest(coalesce(next, 0), (select max(begun) from job_turn)), waiting.id limit 1
)
for update;

-- name: waiting_job
-- Whether there is such a job.
select exists (select 1 from job where state = 'open' and kind = any($1::text[]));

-- name: advance_job
-- A step of a job is done, and with it, at cost $5, the turn of its queue. The queue without a name has nobody to take
-- turns with.
with started as (
    select j.queue, greatest(coalesce(t.next, 0), (select max(begun) from job_turn)) as begun
    from job j left join job_turn t using (queue)
    where j.id = $1 and j.queue <> ''
), turned as (
    insert into job_turn (queue, begun, next)
    select queue, begun, begun + $5::bigint from started
    on conflict (queue) do update set begun = excluded.begun, next = excluded.next
)
update job set cursor = coalesce($2, cursor), steps = steps + 1, state = $3,
               done_at = case when $3 = 'done' then $4::timestamptz end
where id = $1;

-- name: put_off_job
-- Set a job aside, or open it again.
update job set state = $2 where id = $1 and state <> 'done';

-- name: start_job
-- Write a job down; the same kind and name is one job.
insert into job (kind, name, queue, args, cursor, state, created_at) values ($1, $2, $5, $3, '{}', 'open', $4)
on conflict (kind, name) do nothing returning id;
