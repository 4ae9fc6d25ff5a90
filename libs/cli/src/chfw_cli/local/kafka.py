"""A real Apache Kafka broker (KRaft, one node) on loopback."""

import asyncio
from pathlib import Path

from chfw_cli.local import probes
from chfw_cli.local.java import find_java
from chfw_cli.local.kafka_archive import class_archive
from chfw_cli.local.kafka_command import broker_command, format_once, write_broker_files
from chfw_cli.local.kafka_config import ADMIN, BROKER
from chfw_cli.local.kafka_jars import kafka_jars
from chfw_cli.local.orphans import end_orphan
from chfw_cli.local.output import Echo, silent
from chfw_cli.local.server import LocalServer, require_free
from chfw_cli.local.services import SERVICES
from chfw_cli.local.spec import ProcessSpec
from chfw_cli.local.state import StateDir
from chfw_common.runtime.kafka.access import KafkaAccess, user_of
from chfw_common.runtime.passwords import read_secret


class KafkaServer(LocalServer):
    """The broker of a state directory. Its data, its users, its ports and its cluster id outlive restarts.

    Its users are made with its data: the broker's own, the administrator, each service, and those of `strangers`, who
    have a password and no right.
    """

    name = "kafka"

    def __init__(
        self, state: StateDir, port: int | None = None, *, strangers: tuple[str, ...] = (), echo: Echo = silent
    ) -> None:
        super().__init__(state, echo=echo)
        self._users = (BROKER, ADMIN, *map(user_of, SERVICES), *strangers)
        if port is not None:
            state.set_port("kafka", port)
        self.port = state.port("kafka")
        self._controller_port = state.port("kafka-controller")
        self._home = state.directory("kafka")
        self._properties = self._home / "server.properties"
        self._command: tuple[str, ...] | None = None

    @property
    def bootstrap(self) -> str:
        """The `bootstrap_servers` of clients."""
        return f"127.0.0.1:{self.port}"

    def access(self, user: str = ADMIN) -> KafkaAccess:
        """How a user reaches the broker; as it stands, the administrator."""
        return KafkaAccess(bootstrap=self.bootstrap, username=user, password_file=self.password_file(user))

    def password_file(self, user: str) -> Path:
        """The file with the password of a user."""
        return self.state.secret(f"kafka-{user}")

    async def prepare(self) -> None:
        """Find Java and the verified jars, end an orphaned broker, write the settings, format the data once."""
        java = await asyncio.to_thread(find_java)
        jars = await kafka_jars()
        archive = await class_archive(java, jars)
        await end_orphan(self.state.pids / self.name, str(self._properties))
        for port in (self.port, self._controller_port):
            require_free(port, self.state)
        self.state.require_secret(f"kafka-{BROKER}", self._home / "data" / "meta.properties")
        passwords = {user: read_secret(self.password_file(user)) for user in self._users}
        ports = {"port": self.port, "controller_port": self._controller_port}
        write_broker_files(self._home, **ports, password=passwords[BROKER])
        await format_once(self._home, java, jars, passwords)
        self._command = broker_command(self._home, java, jars, *archive)

    def spec(self) -> ProcessSpec:
        """How to run the broker; only after `prepare`."""
        if self._command is None:
            raise RuntimeError("prepare() comes before spec()")
        return ProcessSpec(name=self.name, argv=self._command, ready=self._is_ready)

    async def _is_ready(self) -> bool:
        return await probes.kafka_ready(self.port, self.access())
