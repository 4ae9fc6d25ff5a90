-- name: estate
-- A Party's own hubs from hub $2 on, at most $3, each with where it stands in the release that concerns it most: first one
-- that is neither stopped nor revoked, of these one that is not final for the hub, of these the newest. Of the second
-- Supplier: that there is one, and whether it has instructed.
select h.hub as position, eui64(h.hub) as hub,
       concat_ws(' ', case when h.import_party = $1 then 'IS' end, case when h.gas_party = $1 then 'GS' end) as roles,
       coalesce(h.import_party <> $1, false) or coalesce(h.gas_party <> $1, false) as second_supplier,
       coalesce(h.import_party <> $1 and l.import_instructed, false)
           or coalesce(h.gas_party <> $1 and l.gas_instructed, false)
           as second_has_instructed,
       l.release_id, l.mode as release_mode, l.state, rfc3339(l.activate_at) as activate_at,
       rfc3339(l.answer_by) as answer_by,
       coalesce(l.pilot, false) as pilot, l.wave, h.model, h.hardware, h.firmware, h.region
from (
    (select hub from smi_published.hub where import_party = $1 and hub >= $2 order by hub limit $3)
    union
    (select hub from smi_published.hub where gas_party = $1 and hub >= $2 order by hub limit $3)
    order by hub limit $3
) own
join smi_published.hub h using (hub)
left join lateral (
    select stand.release_id, r.mode, stand.state, stand.pilot, stand.wave, stand.import_party, stand.gas_party,
           stand.import_instructed, stand.gas_instructed,
           case when goes_on(r.mode, stand.state, stand.fires_at) then stand.activate_at end as activate_at,
           case when r.mode not in ('stop', 'revoked') then stand.answer_by end as answer_by
    from release r
    join scheduler_published.seen stand
        on stand.release_id = r.release_id and stand.part = h.part and stand.hub = h.hub
    where $1 in (stand.import_party, stand.gas_party)
    order by r.mode in ('stop', 'revoked'),
             stand.state in ('confirmed', 'failed_final', 'cancelled', 'superseded', 'departed'), r.notified_at desc,
             r.release_id
    limit 1
) l on true
order by h.hub

-- name: eligibility
-- A Party's own hubs in release $4 from hub $2 on, at most $3, as `estate` shows them (R1-4).
select h.hub as position, eui64(h.hub) as hub,
       concat_ws(' ', case when h.import_party = $1 then 'IS' end, case when h.gas_party = $1 then 'GS' end) as roles,
       coalesce(h.import_party <> $1, false) or coalesce(h.gas_party <> $1, false) as second_supplier,
       coalesce(h.import_party <> $1 and l.import_instructed, false)
           or coalesce(h.gas_party <> $1 and l.gas_instructed, false)
           as second_has_instructed,
       l.release_id, r.mode as release_mode, l.state,
       rfc3339(case when goes_on(r.mode, l.state, l.fires_at) then l.activate_at end) as activate_at,
       rfc3339(case when r.mode not in ('stop', 'revoked') then l.answer_by end) as answer_by,
       l.pilot, l.wave, h.model, h.hardware, h.firmware, h.region
from (
    (select h.hub from smi_published.hub h
     join scheduler_published.ledger l on l.release_id = $4 and l.part = h.part and l.hub = h.hub
     where h.import_party = $1 and h.hub >= $2 and $1 in (l.import_party, l.gas_party) order by h.hub limit $3)
    union
    (select h.hub from smi_published.hub h
     join scheduler_published.ledger l on l.release_id = $4 and l.part = h.part and l.hub = h.hub
     where h.gas_party = $1 and h.hub >= $2 and $1 in (l.import_party, l.gas_party) order by h.hub limit $3)
    order by hub limit $3
) own
join smi_published.hub h using (hub)
join scheduler_published.seen l on l.release_id = $4 and l.part = h.part and l.hub = h.hub
join release r on r.release_id = l.release_id
order by h.hub

-- name: pilot_candidates
-- Hubs that User ID $5 of Party $1 answers for in release $2, of which nothing is under way, that no other open release
-- holds, and that no list of the Party names yet: what a pilot may be chosen from.
select h.hub, h.region, coalesce(h.import_party <> $1, false) or coalesce(h.gas_party <> $1, false) as second_supplier,
       h.device_type, h.status, h.manufacturer, h.model, h.hardware, h.firmware, h.gbcs
from smi_published.hub h
join scheduler_published.ledger l on l.release_id = $2 and l.part = h.part and l.hub = h.hub
where (h.import_party = $1 or h.gas_party = $1)
  and ((h.import_party = $1 and h.import_user = $5) or (h.gas_party = $1 and h.gas_user = $5))
  and $1 in (l.import_party, l.gas_party)
  and l.state in ('eligible', 'awaiting_consent', 'scheduled')
  and ($3::text[] is null or h.region = any($3)) and ($4::text[] is null or h.model = any($4))
  and not exists (select from instruction_published.pilot_hub p
                  where p.release_id = $2 and p.hub = h.hub and p.party = $1)
  and not exists (
      select from release r
      join scheduler_published.ledger other on other.release_id = r.release_id and other.part = h.part
          and other.hub = h.hub
      where r.release_id <> $2 and r.mode not in ('stop', 'revoked')
        and other.state in ('distributing', 'delivered', 'delivery_failed', 'arming', 'armed', 'cancelling', 'activated',
                            'activation_failed', 'not_applied', 'silent', 'unreachable'))
order by h.hub

-- name: pilot_size
-- How many hubs the lists of a Party name.
select count(*) from instruction_published.pilot_hub where release_id = $1 and party = $2
