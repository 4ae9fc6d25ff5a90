"""The contiguity audit: every offset below `next` was settled by exactly one transaction, and nothing besides.

It reads what the transactions themselves wrote down, so it finds any record that a source has lost (invariant I15).
"""

from dataclasses import dataclass
from itertools import groupby

from chfw_common.runtime.service import Tx


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach, at one offset of one partition."""

    service: str
    topic: str
    partition: int
    offset: int
    message: str

    def __str__(self) -> str:
        return f"{self.service}: {self.topic}/{self.partition} at {self.offset}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Range:
    topic: str
    partition: int
    first: int
    beyond: int
    applied: int
    parked: int


async def audit(tx: Tx, service: str, topic: str | None = None) -> list[Finding]:
    """What is wrong with the positions of a service, in one of its topics or in all; nothing when all is well."""
    positions = await tx.fetch(
        "select topic, partition, next from consumer_offset where topic = $1 or $1 is null order by topic, partition",
        topic,
    )
    rows = await tx.fetch(
        """select topic, partition, first, beyond, applied, parked from consumed_range
           where topic = $1 or $1 is null order by topic, partition, first""",
        topic,
    )
    ranges = {
        key: list(found)
        for key, found in groupby((_Range(**dict(row)) for row in rows), lambda r: (r.topic, r.partition))
    }
    known = {(row["topic"], row["partition"]): row["next"] for row in positions}
    findings = [
        Finding(service, *key, found[0].first, "a range of a partition that has no position")
        for key, found in ranges.items()
        if key not in known
    ]
    for (name, partition), beyond in known.items():
        findings += _check(service, name, partition, ranges.get((name, partition), []), beyond)
    return findings


def _check(service: str, topic: str, partition: int, ranges: list[_Range], beyond: int) -> list[Finding]:
    findings = []
    expected = 0
    for found in ranges:
        if found.first > expected:
            findings.append(Finding(service, topic, partition, expected, f"settled by nobody, up to {found.first}"))
        if found.first < expected:
            findings.append(Finding(service, topic, partition, found.first, f"settled twice, up to {expected}"))
        if found.applied + found.parked != found.beyond - found.first:
            findings.append(Finding(service, topic, partition, found.first, "applied and parked are not its records"))
        expected = max(expected, found.beyond)
    if expected != beyond:
        findings.append(Finding(service, topic, partition, expected, f"the ranges end here, {beyond} is due"))
    return findings
