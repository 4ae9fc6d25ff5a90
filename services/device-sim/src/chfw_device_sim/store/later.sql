-- name: put_later
-- Words that are heard later.
insert into later (part, due_at, hub, release_id, topic, item)
select u.part, u.due_at, u.hub, u.release_id, u.topic, u.item
from unnest($1::smallint[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[], $6::text[])
    with ordinality u(part, due_at, hub, release_id, topic, item, n)
order by u.n;

-- name: words_due
-- When the earliest word that waits in each partition is due, the earliest first.
select d.due as at, p.part
from generate_series(0, $1::int - 1) p(part)
cross join lateral (select due_at as due from later where later.part = p.part order by due_at limit 1) d
order by d.due, p.part;

-- name: take_later
-- Words that are due, of one partition after the other, the earliest first as far as the limit goes. They are gone when
-- they are told.
with taken as (
    delete from later
    where id = any(array(
        select d.id from unnest($1::smallint[]) with ordinality p(part, n) cross join lateral (
            select due_at, id from later where later.part = p.part and due_at <= $2 order by due_at, id limit $3
        ) d
        order by p.n, d.due_at, d.id limit $3
    ))
    returning id, part, due_at, hub, release_id, topic, item
)
select id, part, hub, release_id, topic, item from taken order by due_at, id;

-- name: put_off_word
-- A word is heard at another time.
update later set due_at = $2 where id = $1;
