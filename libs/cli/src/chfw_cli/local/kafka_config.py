"""The settings of the local broker, as text."""

from pathlib import Path

_SERVER = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
log.dirs={data}

# Topics come from the topology only.
auto.create.topics.enable=false

# One node: nothing can be replicated.
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# A broker killed and started again waits for its old session to end: 3 s instead of 9 s.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=1000

# The first member of a group starts at once; a killed member is missed soon.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000

# Small machine: few threads, small buffers (the cleaner alone would take 128 MB of heap).
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=8388608
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
"""

_LOGGING = """\
status = warn
shutdownHook = disable
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1} %m%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = OUT
"""


def server_properties(*, port: int, controller_port: int, data: Path) -> str:
    """The broker's properties: one node that is broker and controller, on loopback."""
    return _SERVER.format(port=port, controller_port=controller_port, data=data)


def logging_properties() -> str:
    """Warnings and worse, to standard output."""
    return _LOGGING
