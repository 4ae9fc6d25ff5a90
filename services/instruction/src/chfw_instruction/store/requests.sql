-- name: lock_party
-- The Party's line of acceptance, locked until the transaction ends.
insert into party (party, last_seq) values ($1, 0)
on conflict (party) do update set last_seq = party.last_seq
returning last_seq

-- name: move_party
-- Move the line on, and count the entries of the day.
update party
set last_seq = $2, day = $3, entries_on_day = case when day = $3 then entries_on_day else 0 end + $4,
    standing = $5, standing_at = $6
where party = $1

-- name: by_key
-- The request a Party made under a key.
select id, digest, entries, received_at from request where party = $1 and key = $2

-- name: used
-- What a Party has open, what it has sent on day $2, what stood when, and whether it has made a request under key $3. A
-- request that was set aside waits for an operator, so it does not count.
select o.open_requests, o.open_entries, coalesce(p.standing, 0) as standing, p.standing_at,
       case when p.day = $2 then p.entries_on_day else 0 end as entries_today,
       exists (select from request where party = $1 and key = $3) as known
from (
    select count(*) as open_requests, coalesce(sum(r.entries - r.answered), 0)::bigint as open_entries
    from request r
    where r.party = $1 and r.done_at is null
      and not exists (select from job where kind = $4 and name = r.id::text and state = 'set_aside')
) o
left join party p on p.party = $1

-- name: add_request
-- Write an accepted request down.
insert into request (id, party, key, digest, user_id, party_seq, release_id, kind, "group", activate_at, received_at,
                     entries, header, image, automatic_date, waves, pilot_opens, pilot_places)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)

-- name: add_chunk
-- Write a part of its content down. Not COPY: Postgres has none where row security applies.
insert into request_chunk (request_id, party, chunk, raw, hub, duplicates, record) values ($1, $2, $3, $4, $5, $6, $7)

-- name: lock_request
-- A request to be judged on, locked: nobody else counts its verdicts.
select * from request where id = $1 for update

-- name: chunk
-- One part of the content.
select hub, duplicates from request_chunk where request_id = $1 and chunk = $2

-- name: add_verdicts
-- The verdicts of a part, once.
update request_chunk set verdict = $3 where request_id = $1 and chunk = $2 and verdict is null

-- name: count_verdicts
-- Take the verdicts of a part into the counts.
update request set answered = $2, counts = $3, done_at = $4 where id = $1

-- name: own_request
-- A request as its own Party may see it.
select * from request where id = $1 and party = $2

-- name: judged_chunk
-- A part of the content with its verdicts, once it has them.
select entries_of(raw) as raw, hub, verdict, record
from request_chunk
where request_id = $1 and chunk = $2 and verdict is not null

-- name: waiting_before
-- Entries still without a verdict in this request of a Party and in those that it made before.
select coalesce(sum(entries - answered), 0) from request where party = $1 and done_at is null and party_seq <= $2
