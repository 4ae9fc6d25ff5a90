"""The errors whose text is meant for the person at the terminal."""

from graphlib import CycleError

from chfw_cli.local.java import NoJavaError
from chfw_cli.local.kafka_command import FormatError
from chfw_cli.local.kafka_jars import JarDownloadError, JarMismatchError
from chfw_cli.local.orphans import OrphanError
from chfw_cli.local.ports import NoFreePortError
from chfw_cli.local.postgres_binaries import NoPostgresError
from chfw_cli.local.record import NotUpError
from chfw_cli.local.server import PortTakenError
from chfw_cli.local.slot import StartError
from chfw_cli.local.stack import AlreadyUpError
from chfw_cli.local.state import StateDirError
from chfw_cli.tokens import ProductionError

TOLD = (
    AlreadyUpError,
    CycleError,
    FormatError,
    JarDownloadError,
    JarMismatchError,
    NoFreePortError,
    NoJavaError,
    NoPostgresError,
    NotUpError,
    OrphanError,
    PortTakenError,
    ProductionError,
    StartError,
    StateDirError,
)
"""Shown as one message, without a traceback."""
