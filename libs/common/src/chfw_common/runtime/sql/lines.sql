-- name: taken
-- What was taken of the lines of some releases on a topic.
select release_id, number, digest from line_taken where topic = $1 and release_id = any($2::text[]);

-- name: take
-- These numbers are taken.
insert into line_taken (topic, release_id, number, digest)
select $1, t.release_id, t.number, t.digest
from unnest($2::text[], $3::int[], $4::bytea[]) t(release_id, number, digest);

-- name: note_break
-- A record is out of line; its parked record is written by the same transaction.
insert into out_of_line (topic, partition, incarnation, "offset", release_id, number, due)
select topic, partition, incarnation, $3, $4, $5, $6 from consumer_offset where topic = $1 and partition = $2;
