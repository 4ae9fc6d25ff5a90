"""The audit logs of a stack: the key that signs their checkpoints, and whether they still say what was written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from chfw_cli.local.state import StateDir, write_once, write_text
from chfw_common.runtime.audit.checkpoints import (
    Checkpoint,
    CheckpointError,
    KeyFileError,
    private_key,
    public_key,
    read_checkpoints,
)
from chfw_common.runtime.audit.log import read_head, read_records
from chfw_common.runtime.audit.verify import faults
from chfw_common.topology import SERVICES, schema_of

_PRIVATE = 0o600


def key_file(state: StateDir) -> Path:
    """The key that signs checkpoints."""
    return state.keys / "audit.pem"


def public_key_file(state: StateDir) -> Path:
    """The key that verifies them; whoever audits keeps a copy elsewhere."""
    return state.keys / "audit.pub.pem"


def checkpoint_file(state: StateDir, service: str) -> Path:
    """Where a service appends its checkpoints."""
    return state.audit / f"{service}.jsonl"


def make_key(state: StateDir) -> None:
    """Make the key where there is none. Safe to repeat."""
    private = key_file(state)
    if not private.exists():
        made = Ed25519PrivateKey.generate()
        text = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
        write_once(private, text, mode=_PRIVATE)
    public = private_key(private).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_text(public_key_file(state), public.decode("ascii"), durable=True)


def known_checkpoints(state: StateDir, services: Sequence[str]) -> tuple[dict[str, list[Checkpoint]], list[str]]:
    """The checkpoints of each service whose file is good, and what is wrong with the others."""
    found: dict[str, list[Checkpoint]] = {}
    wrong = []
    for service in services:
        try:
            key = public_key(public_key_file(state))
            found[service] = read_checkpoints(checkpoint_file(state, service), schema_of(service), key)
        except (CheckpointError, KeyFileError) as error:
            wrong.append(f"{service}: {error}")
    return found, wrong


async def verify_logs(
    connection: Any, checkpoints: Mapping[str, Sequence[Checkpoint]], services: Sequence[str] = SERVICES
) -> tuple[dict[str, int], list[str]]:
    """How many records each log has, and the faults of all of them. Reads each log as of one instant."""
    counts, found = {}, []
    for service in services:
        stream = schema_of(service)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(f"set local search_path to {stream}")
            records, head = await read_records(connection, stream), await read_head(connection, stream)
        counts[service] = len(records)
        found += [str(fault) for fault in faults(stream, records, head, checkpoints.get(service, ()))]
    return counts, found
