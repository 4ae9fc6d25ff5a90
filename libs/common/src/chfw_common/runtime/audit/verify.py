"""Does a stream of the audit log still say what was written? Names the first record that was changed, dropped or moved.

The chain shows what was done to single records. A chain that was computed anew is whole in itself: the checkpoints
show that, for they lie outside the database. Nothing shows that records were dropped from the end before a checkpoint
had seen them, if the end of the stream was set back as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chfw_common.runtime.audit.checkpoints import Checkpoint
from chfw_common.runtime.audit.record import Head, Record, beginning, digest_of, link


class Kind(StrEnum):
    """What was done to the first record that is not as it was written."""

    CHANGED = "changed"
    DROPPED = "dropped"
    MOVED = "moved"
    INSERTED = "inserted"
    REWRITTEN = "rewritten"


@dataclass(frozen=True, slots=True)
class Fault:
    """The first record of a stream that is not as it was written."""

    stream: str
    seq: int
    kind: Kind
    message: str

    def __str__(self) -> str:
        return f"{self.stream}: record {self.seq} was {self.kind}: {self.message}"


def faults(stream: str, records: Sequence[Record], head: Head, checkpoints: Iterable[Checkpoint] = ()) -> list[Fault]:
    """The first fault of the chain, and the first that a checkpoint shows; none when all is well.

    `records` are in the order of their numbers. The signatures of the checkpoints have been verified.
    """
    found = (follow_on(stream, None, records, head), _of_checkpoints(stream, records, checkpoints))
    return [fault for fault in found if fault is not None]


def follow_on(stream: str, last: Checkpoint | None, records: Sequence[Record], head: Head) -> Fault | None:
    """The first fault of what was written since the last checkpoint. `records` begin with the one under it."""
    if last is None:
        return _of_chain(_Chain(stream, records, Head(0, beginning(stream))), head)
    if not records or records[0].seq != last.seq:
        return Fault(stream, last.seq, Kind.DROPPED, "the last checkpoint has seen it")
    if records[0].hash != last.hash:
        return Fault(stream, last.seq, Kind.REWRITTEN, "the last checkpoint has seen another one")
    return _of_chain(_Chain(stream, records[1:], Head(last.seq, last.hash)), head)


class _Chain:
    """Records of a stream that follow its end as it once was, with the digests of what they say now."""

    def __init__(self, stream: str, records: Sequence[Record], begins: Head) -> None:
        self.stream = stream
        self.begins = begins
        self.records = records
        self.digests = [digest_of(stream, record.entry) for record in records]

    def holds(self, n: int) -> bool:
        """Whether the n-th record's hash is that of its content at its number."""
        return self.is_of(n, self.records[n].seq)

    def is_of(self, n: int, seq: int) -> bool:
        """Whether the n-th record was written under a number."""
        record = self.records[n]
        return link(record.previous, seq, self.digests[n]) == record.hash

    def written_as(self, seq: int) -> int | None:
        """The number under which the record stands now that was written under this one."""
        return next((self.records[n].seq for n in range(len(self.records)) if self.is_of(n, seq)), None)

    def place_of(self, n: int) -> int | None:
        """The number under which the n-th record was written; None for one that was changed."""
        last = self.records[-1].seq + len(self.records)
        return next((seq for seq in range(self.begins.seq + 1, last + 1) if self.is_of(n, seq)), None)

    def fault(self, seq: int, kind: Kind, message: str) -> Fault:
        return Fault(self.stream, seq, kind, message)


def _of_chain(chain: _Chain, head: Head) -> Fault | None:
    previous = chain.begins.hash
    for n, record in enumerate(chain.records):
        due = chain.begins.seq + n + 1
        if record.seq != due:
            return _missing(chain, due, f"record {record.seq} follows")
        if not chain.holds(n):
            return _misplaced(chain, n)
        if record.previous != previous:
            # It is whole in itself and follows another record than the one that stands before it.
            return chain.fault(max(due - 1, 1), Kind.CHANGED, f"record {due} was written behind another one")
        previous = record.hash
    return _of_end(chain, head, previous)


def _missing(chain: _Chain, seq: int, seen: str) -> Fault:
    """Nothing stands under a number: is it elsewhere?"""
    elsewhere = chain.written_as(seq)
    if elsewhere is not None:
        return chain.fault(seq, Kind.MOVED, f"it stands under {elsewhere}")
    return chain.fault(seq, Kind.DROPPED, f"nothing stands there, and {seen}")


def _misplaced(chain: _Chain, n: int) -> Fault:
    """The n-th record's hash is not that of its content under its number."""
    seq, place = chain.records[n].seq, chain.place_of(n)
    if place is None:
        return chain.fault(seq, Kind.CHANGED, "its hash is not that of what it says")
    if n > 0 and place == seq - 1 and chain.records[n - 1].previous == chain.records[n].previous:
        return chain.fault(place, Kind.INSERTED, f"the record that was written there stands under {seq}")
    elsewhere = chain.written_as(seq)
    if elsewhere is not None:
        return chain.fault(seq, Kind.MOVED, f"it stands under {elsewhere}, and in its place the one written as {place}")
    return chain.fault(seq, Kind.DROPPED, f"in its place stands the one that was written as {place}")


def _of_end(chain: _Chain, head: Head, last: bytes) -> Fault | None:
    count = chain.begins.seq + len(chain.records)
    if head.seq > count:
        return chain.fault(count + 1, Kind.DROPPED, f"the stream ends at {head.seq}, its records end here")
    if head.seq < count:
        return chain.fault(head.seq + 1, Kind.INSERTED, f"the stream ends at {head.seq}")
    if head.hash != last:
        return chain.fault(max(count, 1), Kind.CHANGED, "the end of the stream has another hash")
    return None


def _of_checkpoints(stream: str, records: Sequence[Record], checkpoints: Iterable[Checkpoint]) -> Fault | None:
    hashes = {record.seq: record.hash for record in records}
    good = 0
    for checkpoint in sorted(checkpoints, key=lambda one: one.seq):
        if checkpoint.seq not in hashes:
            first = next(seq for seq in range(1, checkpoint.seq + 1) if seq not in hashes)
            return Fault(stream, first, Kind.DROPPED, f"the checkpoint at {checkpoint.seq} has seen it")
        if hashes[checkpoint.seq] != checkpoint.hash:
            message = f"the records from here to {checkpoint.seq} are not those under the checkpoint there"
            return Fault(stream, good + 1, Kind.REWRITTEN, message)
        good = checkpoint.seq
    return None
