"""Errors by what the caller should do: wait and retry, seek back, park, or stop."""


class TransientError(Exception):
    """A server is away or busy: try again after a while.

    What failed may have been done all the same: when a connection breaks during COMMIT, nobody here knows. So what is
    tried again must absorb its own repeat.
    """


class HoleError(Exception):
    """The records at hand begin after the offset that is due. Seek back to `next_offset`; never step over."""

    def __init__(self, topic: str, partition: int, next_offset: int, found: int) -> None:
        super().__init__(f"{topic}/{partition}: offset {next_offset} is due, the source offers {found}")
        self.next_offset = next_offset
        self.found = found


class InvalidMessageError(ValueError):
    """A record that can never be handled. It is parked with the reason, and the partition goes on."""


class EventTooLargeError(ValueError):
    """An event that no broker would take. Whoever makes events bounds them, so this is a programming error."""


class PositionError(Exception):
    """A partition cannot be read on from the offset `due`: another topic id, a log that does not hold it, a hole.

    Records may be lost: the partition stops and alarms, and a person decides (`chfw positions`).
    """

    def __init__(self, message: str, due: int) -> None:
        super().__init__(message)
        self.due = due


class SchemaMissingError(Exception):
    """Migrations have not run yet: wait until somebody has run them."""


class SchemaOutOfDateError(Exception):
    """The database schema is not the one this code was written for, and no waiting makes it so."""
