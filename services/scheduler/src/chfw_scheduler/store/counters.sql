-- name: lock_nowait
-- The lines of partitions, locked in order by a transaction that must not wait.
select from originator_counter where part = any($1::smallint[]) order by part for update nowait;

-- name: give
-- Move the lines of partitions on by so many counters, in the order of the partitions; gives their new ends.
insert into originator_counter as known (part, last)
select u.part, $3::bigint - 1 + u.wanted from unnest($1::smallint[], $2::int[]) with ordinality u(part, wanted, n)
order by u.n
on conflict (part) do update
set last = greatest(known.last, $3::bigint - 1) + (excluded.last - ($3::bigint - 1))
returning part, last;
