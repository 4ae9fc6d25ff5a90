-- name: take_token
-- Take one request out of a Party's bucket and say how many are left; no row when there is not a whole one. $2 is the
-- most that it holds, $3 what flows in per second.
insert into request_bucket as b (party, tokens, at) values ($1, $2::float8 - 1, $4)
on conflict (party) do update
set tokens = least($2::float8, b.tokens + $3::float8 * greatest(extract(epoch from $4 - b.at)::float8, 0)) - 1,
    at = greatest(b.at, $4)
where least($2::float8, b.tokens + $3::float8 * greatest(extract(epoch from $4 - b.at)::float8, 0)) >= 1
returning tokens;

-- name: token_due
-- In how many seconds a Party's bucket has a whole request again, $2 flowing in per second.
select (1 - b.tokens) / $2::float8 - extract(epoch from $3::timestamptz - b.at)::float8
from request_bucket b where b.party = $1;
