-- name: keep_statuses
-- Statuses that changes have ended.
insert into former_status (hub, smi_version, status, since, until)
select u.hub, u.smi_version, u.status, u.since, u.until
from unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[])
    u(hub, smi_version, status, since, until)
order by u.hub;

-- name: find_statuses
-- The former statuses of a hub in the order in which they ended.
select hub, smi_version, status, since, until from former_status where hub = $1 order by smi_version;
