"""After the story: the reconciliation, the checks of what was consumed and counted, and what was left aside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chfw_cli.audit import known_checkpoints, verify_logs
from chfw_cli.demo.client import Client
from chfw_cli.demo.intake import verdict_mismatches
from chfw_cli.demo.oracle import expect
from chfw_cli.demo.reconcile import Reconciliation, reconcile
from chfw_cli.demo.story import IMAGE, Story
from chfw_cli.demo.tell import Told
from chfw_cli.demo.views import look, state_hash
from chfw_cli.local.state import StateDir
from chfw_common.runtime.contiguity import Finding, check_contiguity
from chfw_common.topology import SERVICES, schema_of

_UNAUDITED = """
select 'decision ' || d.release_id || ' ' || d.epoch as what from governance.decision d
where not exists (select from governance.audit a where a.action = 'decide' and a.subject = d.release_id
                  and (a.after::jsonb ->> 'epoch')::int = d.epoch)
union all
select 'request ' || r.id from instruction.request r
where not exists (select from instruction.audit a where a.action = 'instruct' and a.subject = r.id::text
                  and a.party = r.party)
order by 1
"""
_MISCOUNTS = "select * from scheduler.miscount order by release_id, part, key"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks said."""

    reconciliation: Reconciliation
    enrolled: int
    anomalies: int
    parked: int
    evidence_findings: tuple[str, ...]
    verdict_mismatches: tuple[str, ...]
    state_hash: str

    @property
    def ok(self) -> bool:
        """Whether every check held."""
        wrong = self.reconciliation.mismatches or self.evidence_findings or self.verdict_mismatches
        return not wrong and self.parked == 0


async def verify(client: Client, admin: Any, story: Story, told: Told, signed_in: StateDir | None = None) -> Verdict:
    """Reconcile and check; the audit logs also against the checkpoints in a state directory, where there are some."""
    expected = expect(IMAGE, story.boxes(), story.requests)
    views = await look(client, admin)
    parked = await _count(admin, "parked_record", SERVICES)
    findings = [str(finding) for service in SERVICES for finding in await _gaps(admin, service)]
    findings += await _audit(admin, signed_in)
    findings += [f"scheduler: the counts are wrong: {dict(row)}" for row in await admin.fetch(_MISCOUNTS)]
    findings += [
        f"{table}: {waiting} wait for a person"
        for table in ("parked_event", "held_partition", "set_aside")
        if (waiting := await _count(admin, table, SERVICES))
    ]
    return Verdict(
        reconcile(views, expected, story.estate.hubs),
        len(views.ledger),
        await _count(admin, "anomaly", ("scheduler", "smi", "device-sim")),
        parked,
        tuple(findings),
        tuple(await verdict_mismatches(client, story, told.instructions)),
        state_hash(views),
    )


async def _audit(admin: Any, signed_in: StateDir | None) -> list[str]:
    """What is wrong with the audit logs: faults of chains and checkpoints, and what they do not mention."""
    checkpoints, wrong = known_checkpoints(signed_in, SERVICES) if signed_in else ({}, [])
    _, found = await verify_logs(admin, checkpoints)
    return [*wrong, *found, *(f"not in the audit log: {row['what']}" for row in await admin.fetch(_UNAUDITED))]


async def _gaps(admin: Any, service: str) -> list[Finding]:
    async with admin.transaction():
        await admin.execute(f"set local search_path to {schema_of(service)}")
        return await check_contiguity(admin, service)


async def _count(admin: Any, table: str, services: tuple[str, ...]) -> int:
    counts: Mapping[str, int] = {
        service: await admin.fetchval(f"select count(*) from {schema_of(service)}.{table}") for service in services
    }
    return sum(counts.values())
