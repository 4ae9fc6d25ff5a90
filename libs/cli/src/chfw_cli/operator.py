"""What an operator changes from the command line goes into the audit log of the service whose schema it is in."""

import os
import pwd
from collections.abc import Iterable
from typing import Any

from chfw_common.runtime.audit.log import append
from chfw_common.runtime.audit.record import Entry, as_json
from chfw_common.runtime.clock import machine_now
from chfw_common.runtime.service import Change
from chfw_common.topology import schema_of

ROLE = "operator"


async def write_down(connection: Any, changes: Iterable[tuple[str, Change]]) -> None:
    """Append a record for each (service, change), in the transaction of the changes and at its end."""
    for service, change in sorted(changes, key=lambda one: one[0]):
        await connection.execute(f"set local search_path to {schema_of(service)}")
        await append(connection, schema_of(service), _entry(change))


def _entry(change: Change) -> Entry:
    """The user of the machine is who it was; no Party and no token stand behind a command line."""
    return Entry(
        at=machine_now(),
        party="",
        user_id=_user(),
        role=ROLE,
        token="",
        request="",
        action=change.action,
        subject=change.subject,
        before=as_json(change.before),
        after=as_json(change.after),
    )


def _user() -> str:
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
