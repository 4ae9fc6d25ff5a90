"""Whatever is done to a stream of the audit log, the verifier names the first record that is not as it was written."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chfw_common.kernel.instants import parse_instant
from chfw_common.runtime.audit.checkpoints import (
    Checkpoint,
    CheckpointError,
    CheckpointFile,
    KeyFileError,
    private_key,
    read_checkpoints,
)
from chfw_common.runtime.audit.follow import Pace
from chfw_common.runtime.audit.record import Entry, Head, Record, as_json, beginning, digest_of, link
from chfw_common.runtime.audit.verify import Fault, Kind, faults, follow_on

STREAM, LENGTH = "governance", 9
AT = parse_instant("2026-03-01T00:00:00.5Z")


def entry(n: int) -> Entry:
    """Something that was done."""
    after = as_json({"epoch": n})
    return Entry(AT + timedelta(seconds=n), "dcc", "u", "DCC", "jti", f'"{n}"', "decide", "R", None, after)


def chained(entries: list[Entry], stream: str = STREAM) -> list[Record]:
    """Records as they are written one behind the other."""
    previous, made = beginning(stream), []
    for seq, one in enumerate(entries, 1):
        made.append(Record(seq, one, previous, link(previous, seq, digest_of(stream, one))))
        previous = made[-1].hash
    return made


ENTRIES = [entry(n) for n in range(1, LENGTH + 1)]
WRITTEN = chained(ENTRIES)
HEAD = Head(LENGTH, WRITTEN[-1].hash)
FORGED = entry(99)._replace(user_id="mallory")


def found(records: list[Record], head: Head = HEAD, checkpoints: tuple[Checkpoint, ...] = ()) -> list[tuple[int, Kind]]:
    """The faults, by number and kind."""
    return [(fault.seq, fault.kind) for fault in faults(STREAM, records, head, checkpoints)]


def at(*numbers: int, records: list[Record] = WRITTEN) -> tuple[Checkpoint, ...]:
    """Checkpoints that were made of the stream when it ended at these records."""
    return tuple(Checkpoint(STREAM, n, seq, records[seq - 1].hash, AT, "") for n, seq in enumerate(numbers, 1))


def without(seq: int) -> list[Record]:
    return [record for record in WRITTEN if record.seq != seq]


def renumbered(records: list[Record]) -> list[Record]:
    """The numbers made gapless again, as somebody would who hides something; nothing else is touched."""
    return [replace(record, seq=seq) for seq, record in enumerate(records, 1)]


def swapped(one: int, other: int) -> list[Record]:
    records = list(WRITTEN)
    records[one - 1], records[other - 1] = records[other - 1], records[one - 1]
    return renumbered(records)


def moved_to_the_end(seq: int) -> list[Record]:
    return renumbered([*without(seq), WRITTEN[seq - 1]])


def inserted(seq: int) -> list[Record]:
    """A forged record, linked to the one before it, and the others moved up."""
    previous = WRITTEN[seq - 2].hash if seq > 1 else beginning(STREAM)
    forged = Record(seq, FORGED, previous, link(previous, seq, digest_of(STREAM, FORGED)))
    return renumbered([*WRITTEN[: seq - 1], forged, *WRITTEN[seq - 1 :]])


def exchanged(seq: int, *, hashed: bool) -> list[Record]:
    """Another entry in the place of one; `hashed`: with a hash that fits it."""
    records = list(WRITTEN)
    old = records[seq - 1]
    made = link(old.previous, seq, digest_of(STREAM, FORGED)) if hashed else old.hash
    records[seq - 1] = Record(seq, FORGED, old.previous, made)
    return records


def test_a_stream_as_it_was_written_has_no_fault() -> None:
    assert found(WRITTEN, checkpoints=at(3, 9)) == []
    assert found([], Head(0, beginning(STREAM))) == []


@pytest.mark.parametrize(
    "field", ["at", "party", "user_id", "role", "token", "request", "action", "subject", "before", "after"]
)
@pytest.mark.parametrize("seq", [1, 5, LENGTH])
def test_a_change_of_any_field_is_named(field: str, seq: int) -> None:
    records = list(WRITTEN)
    changes: dict[str, Any] = {field: AT - timedelta(days=1) if field == "at" else '{"x":1}'}
    records[seq - 1] = replace(records[seq - 1], entry=records[seq - 1].entry._replace(**changes))
    assert found(records) == [(seq, Kind.CHANGED)]


@pytest.mark.parametrize("seq", [1, 2, 5, LENGTH])
def test_a_changed_record_whose_hash_was_computed_anew_is_named(seq: int) -> None:
    assert found(exchanged(seq, hashed=False)) == [(seq, Kind.CHANGED)]
    assert found(exchanged(seq, hashed=True)) == [(seq, Kind.CHANGED)]


@pytest.mark.parametrize("seq", [1, 2, 5, LENGTH - 1])
@pytest.mark.parametrize("hide", [list, renumbered])
def test_a_dropped_record_is_named(seq: int, hide: Callable[[list[Record]], list[Record]]) -> None:
    assert found(hide(without(seq))) == [(seq, Kind.DROPPED)]


@pytest.mark.parametrize(("one", "other"), [(1, 2), (4, 5), (3, 7), (1, LENGTH)])
def test_swapped_records_are_named(one: int, other: int) -> None:
    assert found(swapped(one, other)) == [(one, Kind.MOVED)]


@pytest.mark.parametrize("seq", [1, 4, LENGTH - 1])
def test_a_moved_record_is_named(seq: int) -> None:
    assert found(moved_to_the_end(seq)) == [(seq, Kind.MOVED)]
    away = [replace(record, seq=50) if record.seq == seq else record for record in WRITTEN]
    assert found(sorted(away, key=lambda record: record.seq)) == [(seq, Kind.MOVED)]


@pytest.mark.parametrize("seq", [1, 2, 5, LENGTH])
def test_an_inserted_record_is_named(seq: int) -> None:
    assert found(inserted(seq), Head(LENGTH + 1, HEAD.hash)) == [(seq, Kind.INSERTED)]


def test_a_record_behind_the_end_is_named() -> None:
    assert found(chained([*ENTRIES, FORGED])) == [(LENGTH + 1, Kind.INSERTED)]


@pytest.mark.parametrize("left", [0, 1, 5])
def test_a_tail_that_was_cut_is_named(left: int) -> None:
    short = WRITTEN[:left]
    end = Head(left, short[-1].hash if short else beginning(STREAM))
    assert found(short) == [(left + 1, Kind.DROPPED)]
    assert found(short, end) == [], "only a checkpoint tells, once the end of the stream is set back"
    assert found(short, end, at(8)) == [(left + 1, Kind.DROPPED)]


@pytest.mark.parametrize(("changed", "named"), [(1, 1), (4, 4), (5, 4), (8, 7)])
def test_a_chain_that_was_computed_anew_is_found_by_the_checkpoints(changed: int, named: int) -> None:
    """They say between which records the first changed one lies."""
    entries = list(ENTRIES)
    entries[changed - 1] = FORGED
    anew = chained(entries)
    head = Head(LENGTH, anew[-1].hash)
    assert found(anew, head) == [], "the chain alone is whole"
    assert found(anew, head, at(3, 6, 9)) == [(named, Kind.REWRITTEN)]


def test_records_of_another_stream_do_not_pass_for_those_of_this_one() -> None:
    other = chained(ENTRIES, "smi")
    assert found(other, Head(LENGTH, other[-1].hash)) == [(1, Kind.CHANGED)]


def test_what_follows_a_checkpoint_must_follow_from_it() -> None:
    (last,) = at(4)
    assert follow_on(STREAM, last, WRITTEN[3:], HEAD) is None
    entries = [FORGED, *ENTRIES[1:]]
    anew = chained(entries)
    assert kind_of(follow_on(STREAM, last, anew[3:], Head(LENGTH, anew[-1].hash))) == (4, Kind.REWRITTEN)
    assert kind_of(follow_on(STREAM, last, WRITTEN[4:], HEAD)) == (4, Kind.DROPPED)
    assert kind_of(follow_on(STREAM, last, [*WRITTEN[3:5], *WRITTEN[6:]], HEAD)) == (6, Kind.DROPPED)


def kind_of(fault: Fault | None) -> tuple[int, Kind] | None:
    return None if fault is None else (fault.seq, fault.kind)


def test_no_text_breaks_a_line() -> None:
    said = as_json({"reason": 'a\r\n{"x": 1}\u202e\u2028'})
    assert said is not None
    assert said.isascii()
    assert said.isprintable()


KEY = Ed25519PrivateKey.generate()


def signed(place: Path, *numbers: int) -> CheckpointFile:
    """A file of checkpoints at these records."""
    file = CheckpointFile(place, STREAM, KEY)
    for seq in numbers:
        file.append(Head(seq, WRITTEN[seq - 1].hash), AT)
    return file


def test_checkpoints_are_read_back_and_gone_on_with(tmp_path: Path) -> None:
    place = tmp_path / "checkpoints"
    assert read_checkpoints(place, STREAM, KEY.public_key()) == []
    signed(place, 3)
    signed(place, 6, 9)
    known = read_checkpoints(place, STREAM, KEY.public_key())
    assert [(one.number, one.seq) for one in known] == [(1, 3), (2, 6), (3, 9)]
    assert found(WRITTEN, checkpoints=tuple(known)) == []
    assert place.stat().st_mode & 0o777 == 0o600


def test_a_torn_line_is_written_again(tmp_path: Path) -> None:
    place = tmp_path / "checkpoints"
    signed(place, 3, 6)
    place.write_bytes(place.read_bytes()[:-20])
    signed(place, 9)
    assert [one.seq for one in read_checkpoints(place, STREAM, KEY.public_key())] == [3, 9]


def test_checkpoints_that_were_meddled_with_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "checkpoints"
    signed(place, 3, 6, 9)
    lines = place.read_bytes().splitlines(keepends=True)
    meddled = {
        "not signed": lines[0].replace(b'"seq":3', b'"seq":2') + lines[1],
        "is missing": lines[0] + lines[2],
        "1 is missing": lines[1] + lines[0],
    }
    for said, text in meddled.items():
        place.write_bytes(text)
        with pytest.raises(CheckpointError, match=said):
            read_checkpoints(place, STREAM, KEY.public_key())
        with pytest.raises(CheckpointError, match=said):
            CheckpointFile(place, STREAM, KEY)
    place.write_bytes(b"".join(lines))
    with pytest.raises(CheckpointError, match="not signed"):
        read_checkpoints(place, STREAM, Ed25519PrivateKey.generate().public_key())
    with pytest.raises(CheckpointError, match="of the stream"):
        read_checkpoints(place, "smi", KEY.public_key())


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "key.pem"
    place.write_bytes(b"-")
    place.chmod(0o640)
    with pytest.raises(KeyFileError, match="600 is needed"):
        private_key(place)
    place.chmod(0o600)
    with pytest.raises(KeyFileError, match="no private key"):
        private_key(place)


@pytest.mark.parametrize(
    ("seq", "seconds", "due"),
    [(4, 0, False), (4, 99, False), (5, 0, False), (5, 60, True), (13, 0, False), (14, 0, True), (3, 0, True)],
)
def test_a_checkpoint_is_due_after_so_many_records_or_so_long(seq: int, seconds: int, due: bool) -> None:
    (last,) = at(4)
    pace = Pace(10, timedelta(minutes=1))
    assert pace.due(Head(seq, b""), last, AT + timedelta(seconds=seconds)) is due
    assert pace.due(Head(1, b""), None, AT)
    assert not pace.due(Head(0, b""), None, AT)
