"""The files and command lines of a broker that lives in one directory."""

import asyncio
import base64
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from chfw_cli.local.child import run_to_end
from chfw_cli.local.java import Java
from chfw_cli.local.kafka_config import format_arguments, logging_properties, server_properties
from chfw_cli.local.state import write_text

_HEAP = "512m"
_QUIET = ("-Xlog:disable", "-Xlog:all=error:stderr")
"""The virtual machine's own warnings, chiefly about the class archive, say nothing of use."""


class FormatError(Exception):
    """The broker's data directory could not be formatted; the text is what the tool wrote."""


def write_broker_files(home: Path, *, port: int, controller_port: int, password: str) -> None:
    """Write the settings of a broker that lives in `home`, for this user's eyes: the broker's password is in them."""
    data = home / "data"
    properties = server_properties(port=port, controller_port=controller_port, data=data, password=password)
    write_text(home / "server.properties", properties)
    write_text(home / "log4j2.properties", logging_properties())


async def format_once(home: Path, java: Java, jars: tuple[Path, ...], passwords: Mapping[str, str]) -> None:
    """Give the data directory its cluster id and its users (user -> password), unless it has them.

    A format that was cut off is begun anew.
    """
    data = home / "data"
    if (data / "meta.properties").exists():
        return
    await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)
    data.mkdir(mode=0o700)
    arguments = home / "format.args"
    write_text(arguments, format_arguments(_cluster_id(), home / "server.properties", passwords))
    try:
        code, output = await run_to_end((*_java(home, java, jars, "-Xmx128m"), f"@{arguments}"))
    finally:
        arguments.unlink()
    if code:
        raise FormatError(f"formatting {data} failed ({code}): {output}")


def broker_command(home: Path, java: Java, jars: tuple[Path, ...], *options: str) -> tuple[str, ...]:
    """The command line of a broker that lives in `home`."""
    flags = (f"-Xmx{_HEAP}", "-Xms64m", "-XX:+ExitOnOutOfMemoryError", *options)
    return (*_java(home, java, jars, *flags), "kafka.Kafka", str(home / "server.properties"))


def _java(home: Path, java: Java, jars: tuple[Path, ...], *options: str) -> tuple[str, ...]:
    newer = ("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow") if java.major > 23 else ()
    return (
        str(java.path),
        *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *_QUIET, *newer, *options),
        f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
        *("-Dlog4j2.disableJmx=true", "-Djava.awt.headless=true"),
        *("-cp", os.pathsep.join(str(jar) for jar in jars)),
    )


def _cluster_id() -> str:
    """22 characters of base64 that do not begin with a hyphen, which the tool would take for an option."""
    return "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
