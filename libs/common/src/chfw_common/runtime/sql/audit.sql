-- name: append
-- Write a record of the stream $1; $2 is the digest of its content. It is numbered and chained at the commit.
insert into audit_pending (stream, digest, at, party, user_id, role, token, request, action, subject, before, after)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: head
-- Where the stream ends.
select seq, hash from audit_head where stream = $1;

-- name: records
-- The records of the stream behind a number, in their order, at most so many.
select * from audit where stream = $1 and seq > $2 order by seq limit $3;
