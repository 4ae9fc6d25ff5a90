"""The broker's classes in a form that this Java loads at once: about a second less at every start.

Made once per Java, list of jars and way of signing in, by running a broker in a scratch directory, and kept beside the
jars. It only ever saves time: whatever goes wrong here, the broker starts without.
"""

import hashlib
import secrets
import shutil
import tempfile
from pathlib import Path

from chfw_cli.local import probes
from chfw_cli.local.java import Java
from chfw_cli.local.kafka_command import FormatError, broker_command, format_once, write_broker_files
from chfw_cli.local.kafka_config import ADMIN, BROKER
from chfw_cli.local.kafka_jars import jar_directory
from chfw_cli.local.spec import ProcessSpec
from chfw_cli.local.state import StateDir, write_text
from chfw_cli.local.supervisor import StartError, Supervisor
from chfw_common.runtime.kafka.access import MECHANISM, KafkaAccess

_AHEAD_OF_TIME = 25
"""The Java from which on the archive may hold more than classes."""
_DUMP_LIMIT = 60.0


async def class_archive(java: Java, jars: tuple[Path, ...]) -> tuple[str, ...]:
    """The options that make this Java use the archive; none when it cannot be made."""
    identity = hashlib.sha256(f"{java.path} {java.version} {MECHANISM}".encode()).hexdigest()[:8]
    archive = jar_directory().with_name(f"{jar_directory().name}-java{java.major}-{identity}.archive")
    if not archive.exists():
        try:
            await _train(java, jars, archive)
        except (StartError, FormatError, OSError, TimeoutError):
            return ()
    if not archive.exists():
        return ()
    return (f"-XX:AOTCache={archive}",) if java.major >= _AHEAD_OF_TIME else (f"-XX:SharedArchiveFile={archive}",)


async def _train(java: Java, jars: tuple[Path, ...], archive: Path) -> None:
    """Run a broker until it is ready, let it write the archive as it ends, put the archive in place in one step."""
    work = Path(tempfile.mkdtemp(dir=archive.parent, prefix="train-"))
    try:
        state = StateDir(work)
        fresh = work / "archive"
        option = "AOTCacheOutput" if java.major >= _AHEAD_OF_TIME else "ArchiveClassesAtExit"
        port = state.port("kafka")
        passwords = {user: secrets.token_urlsafe() for user in (BROKER, ADMIN)}
        controller_port = state.port("kafka-controller")
        write_broker_files(work, port=port, controller_port=controller_port, password=passwords[BROKER])
        await format_once(work, java, jars, passwords)
        access = KafkaAccess(bootstrap=f"127.0.0.1:{port}", username=ADMIN, password_file=work / "password")
        write_text(access.password_file, passwords[ADMIN])
        command = broker_command(work, java, jars, f"-XX:{option}={fresh}")
        async with Supervisor(state, restart=False) as alone:
            await alone.start(ProcessSpec(name="kafka", argv=command, ready=lambda: probes.kafka_ready(port, access)))
            await alone.stop("kafka", _DUMP_LIMIT)
        if fresh.exists():
            fresh.replace(archive)
    finally:
        shutil.rmtree(work, ignore_errors=True)
