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

-- name: restore
-- The status that ends goes to the former ones, and another applies: from when the hub ran its new version, and not from
-- before its suspension, which may have come to the inventory first.
with restored as (
    select h.hub, u.smi_version, h.status, h.status_since, greatest(u.at, h.status_since) as at
    from unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) u(hub, smi_version, at)
    join hub h using (hub)
), ended as (
    insert into former_status (hub, smi_version, status, since, until)
    select hub, smi_version, status, status_since, at from restored order by hub
)
update hub set status = $4, status_since = restored.at from restored where hub.hub = restored.hub;
