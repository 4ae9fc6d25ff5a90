"""What was committed, in the order of the commits: Postgres' own log, decoded by its `pgoutput` plugin.

The order of commits is the only order that counts between processes: the times that rows carry were read before the
commit, and a frozen process commits long after it read them. Reading the log changes nothing of what is measured.
"""

import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from chfw_common.kernel.instants import Instant

SLOT = "halt_bench"
LEDGER = "scheduler.ledger"
PAGE = 20_000
"""Changes that one question to the slot gives; it ends with the transaction that exceeds them."""
WATCHED: Mapping[str, str] = {
    "governance.decision": "release_id, epoch",
    "scheduler.decision": "release_id, epoch, min_epoch, mode, fencing_epoch, effective_at",
    LEDGER: ("release_id, part, hub, state, dist_epoch, dist_at, arm_epoch, arm_counter, arm_at, arm_ended, outcome"),
    "device_sim.device": (
        "hub, region, counter, receipt_kind, receipt_release, receipt_epoch, coming_release, coming_epoch,"
        " activated_release, activations"
    ),
}
"""The columns that are evidence. Each has the primary key among them: Postgres demands it of what is updated."""
COMMANDS, ANSWERS = "scheduler.outbox", "device_sim.outbox"
_MESSAGES = f"""
create publication {SLOT}_messages for
    table {COMMANDS} (topic, payload) where (topic in ('hub.command', 'firmware.distributed', 'rollout.progressed')),
    table {ANSWERS} (topic, payload) where (topic = 'hub.response')
    with (publish = 'insert')
"""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_NEXT = """
select data from pg_logical_slot_get_binary_changes($1, null, $2, 'proto_version', '1', 'publication_names', $3)
"""

Row = dict[str, str | None]


class Change(NamedTuple):
    """A row as it was inserted or is after an update. Values are Postgres' texts, None for null."""

    table: str
    row: Row


@dataclass(slots=True)
class Commit:
    """One transaction: where its commit stands in the log, when that was by the machine's clock, what it changed."""

    place: int
    at: Instant
    changes: list[Change] = field(default_factory=list)


async def watch(connection: Any) -> None:
    """Begin to watch. `connection` is the administrator's; the server must run with `wal_level = logical`."""
    for table, columns in WATCHED.items():
        name = f"{SLOT}_{table.replace('.', '_')}"
        await connection.execute(
            f"create publication {name} for table {table} ({columns}) with (publish = 'insert, update')"
        )
    await connection.execute(_MESSAGES)
    await connection.execute("select pg_create_logical_replication_slot($1, 'pgoutput')", SLOT)


async def forget(connection: Any) -> None:
    """Pass over everything until now."""
    await connection.execute("select pg_replication_slot_advance($1, pg_current_wal_lsn())", SLOT)


async def ledger_now(connection: Any, release_id: str) -> list[Row]:
    """The ledger rows of a release as they are now, in the texts of the log."""
    columns = ", ".join(f"{name}::text" for name in WATCHED[LEDGER].split(", "))
    rows = await connection.fetch(f"select {columns} from {LEDGER} where release_id = $1", release_id)
    return [dict(row) for row in rows]


async def commits(connection: Any) -> AsyncIterator[Commit]:
    """What was committed since the last look and touches what is watched, in order."""
    names = ",".join([*(f"{SLOT}_{table.replace('.', '_')}" for table in WATCHED), f"{SLOT}_messages"])
    while rows := await connection.fetch(_NEXT, SLOT, PAGE, names):
        decoder = Decoder()
        for row in rows:
            found = decoder.take(row["data"])
            if found is not None and found.changes:
                yield found


class Decoder:
    """Reads the messages of `pgoutput`, version 1 of its protocol, of one question to the slot."""

    def __init__(self) -> None:
        self._tables: dict[int, tuple[str, tuple[str, ...]]] = {}
        self._open: Commit | None = None

    def take(self, message: bytes) -> Commit | None:
        """The transaction that ends with this message, if one does. Raises ValueError for one that is not expected."""
        kind, data = message[:1], _Reader(message[1:])
        match kind:
            case b"B":
                place, microseconds = data.take("!qq")
                self._open = Commit(place, _EPOCH + timedelta(microseconds=microseconds))
            case b"C":
                ended, self._open = self._open, None
                return ended
            case b"R":
                self._relation(data)
            case b"I" | b"U":
                self._row(data)
            case b"O" | b"Y" | b"T":
                """Origins, types and truncations say nothing of a row."""
            case _:
                raise ValueError(f"an unexpected message: {kind!r}")
        return None

    def _relation(self, data: "_Reader") -> None:
        (number,) = data.take("!I")
        schema, table = data.text(), data.text()
        _, columns = data.take("!bh")
        names = []
        for _ in range(columns):
            data.take("!b")
            names.append(data.text())
            data.take("!Ii")
        self._tables[number] = (f"{schema}.{table}", tuple(names))

    def _row(self, data: "_Reader") -> None:
        (number,) = data.take("!I")
        table, names = self._tables[number]
        if data.take("!c") != (b"N",):
            raise ValueError(f"{table} sends old rows: its replica identity is not the one of its primary key")
        (columns,) = data.take("!h")
        row = {name: data.value() for name in names[:columns]}
        if self._open is None:
            raise ValueError(f"a row of {table} outside a transaction")
        self._open.changes.append(Change(table, row))


class _Reader:
    """The bytes of one message, from left to right."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, shape: str) -> tuple[Any, ...]:
        """The next values, by the letters of `struct`."""
        found = struct.unpack_from(shape, self._data, self._at)
        self._at += struct.calcsize(shape)
        return found

    def text(self) -> str:
        """The next text, up to its zero byte."""
        end = self._data.index(0, self._at)
        found = self._data[self._at : end].decode()
        self._at = end + 1
        return found

    def value(self) -> str | None:
        """The next value of a row. Raises ValueError for one that was left out: no column that is watched is large."""
        (kind,) = self.take("!c")
        if kind == b"n":
            return None
        if kind != b"t":
            raise ValueError(f"a value of kind {kind!r}")
        (length,) = self.take("!i")
        self._at += length
        return self._data[self._at - length : self._at].decode()
