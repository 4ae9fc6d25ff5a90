"""The check of contiguity: every offset below `next` was settled by one transaction, or stepped over with a reason.

It reads what the transactions themselves wrote down, so it finds any record that a source has lost (invariant I15).
A partition whose log was exchanged (a person accepted another one) is checked log by log.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

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
class _Log:
    topic: str
    partition: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class _Range:
    """Offsets [first, beyond) that were settled or stepped over."""

    first: int
    beyond: int


_POSITIONS = """
select topic, partition, incarnation, next as beyond from consumer_offset where topic = $1 or $1 is null
union all
select topic, partition, incarnation_before, next_before from position_decision
where incarnation_after > incarnation_before and (topic = $1 or $1 is null)
order by topic, partition, incarnation
"""
_RANGES = """
select topic, partition, incarnation, first, beyond from consumed_range
where topic = $1 or $1 is null
union all
select topic, partition, incarnation, first, beyond from stepped_over where topic = $1 or $1 is null
order by topic, partition, incarnation, first
"""
_STRAY = """
select topic, partition, incarnation, "offset" from parked_offset p
where (topic = $1 or $1 is null) and not exists (
    select from consumed_range r
    where r.topic = p.topic and r.partition = p.partition and r.incarnation = p.incarnation
      and p."offset" >= r.first and p."offset" < r.beyond
)
order by topic, partition, incarnation, "offset"
"""


async def check_contiguity(tx: Tx, service: str, topic: str | None = None) -> list[Finding]:
    """What is wrong with the positions of a service, in one of its topics or in all; nothing when all is well."""
    ends = {_log(row): row["beyond"] for row in await tx.fetch(_POSITIONS, topic)}
    ranges = {
        log: [_Range(row["first"], row["beyond"]) for row in rows]
        for log, rows in groupby(await tx.fetch(_RANGES, topic), _log)
    }
    findings = [
        Finding(service, log.topic, log.partition, found[0].first, "a range of a partition that has no position")
        for log, found in ranges.items()
        if log not in ends
    ]
    for log, beyond in ends.items():
        for offset, message in _breaches(ranges.get(log, []), beyond):
            findings.append(Finding(service, log.topic, log.partition, offset, message))
    findings += [
        Finding(service, row["topic"], row["partition"], row["offset"], "parked, and in no range that was settled")
        for row in await tx.fetch(_STRAY, topic)
    ]
    return findings


def _log(row: Any) -> _Log:
    return _Log(row["topic"], row["partition"], row["incarnation"])


def _breaches(ranges: list[_Range], beyond: int) -> list[tuple[int, str]]:
    found = []
    expected = 0
    for one in ranges:
        if one.first > expected:
            found.append((expected, f"settled by nobody, up to {one.first}"))
        if one.first < expected:
            found.append((one.first, f"settled twice, up to {expected}"))
        expected = max(expected, one.beyond)
    if expected != beyond:
        found.append((expected, f"the ranges end here, {beyond} is due"))
    return found
