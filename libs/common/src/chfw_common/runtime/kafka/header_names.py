"""Records whose headers have names that are not UTF-8.

Kafka does not look at the names, aiokafka decodes them, so such a record could not be read and would come again for
ever. Here it is read with the bytes kept (`surrogateescape`); the consume core parks it.
"""

import struct
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH = struct.Struct(">8xi")
"""A batch begins with its first offset and the count of the bytes that follow."""


class _Bytes(bytearray):
    """Bytes whose parts decode whatever they are."""

    def __getitem__(self, where: Any) -> Any:
        found = bytearray.__getitem__(self, where)
        return _Bytes(found) if isinstance(where, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        """Text; each byte that is none stands as a lone surrogate."""
        return bytes(self).decode(encoding, errors)


class _Batch:
    """A batch as aiokafka reads it, quickly; from a name that it cannot decode on, slowly."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        done = 0
        try:
            for record in self._batch:
                yield record
                done += 1
        except (UnicodeDecodeError, CorruptRecordException):
            yield from self._slowly(done)

    def _slowly(self, done: int) -> Iterator[Any]:
        batch: Any = _DefaultRecordBatchPy(self._data)
        iter(batch)
        # Unpacked by now, if it was packed.
        batch._buffer = _Bytes(batch._buffer)  # noqa: SLF001 - only this changes how names are decoded
        for at, record in enumerate(batch):
            if at >= done:
                yield record


class AnyHeaderNames:
    """The batches of one fetched partition: what aiokafka's `MemoryRecords` is."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._data = memoryview(data)
        self._at = 0

    def size_in_bytes(self) -> int:
        """The bytes fetched."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Whether another whole batch is there."""
        return bool(self._records.has_next())

    def next_batch(self) -> _Batch:
        """The next batch."""
        batch = self._records.next_batch()
        begin, (length,) = self._at, _LENGTH.unpack_from(self._data, self._at)
        self._at = begin + _LENGTH.size + length
        return _Batch(batch, self._data[begin : self._at])


def read_any_header_name() -> None:
    """Let the aiokafka consumers of this process, and Faust's, read any record. Safe to repeat."""
    fetcher.MemoryRecords = AnyHeaderNames
