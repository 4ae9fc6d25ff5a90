"""The settings of the local broker, as text."""

from collections.abc import Mapping
from pathlib import Path

from chfw_common.runtime.kafka.access import MECHANISM

BROKER = "chfw-broker"
"""The broker's own user, at itself and at the controller."""
ADMIN = "chfw-admin"
"""Who makes topics and rules, and may do everything."""

_SERVER = """\
process.roles=broker,controller
node.id=1
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=CLIENTS://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
log.dirs={data}

# Nobody without a password. Users of the broker are kept in its metadata; the controller has to know its only user
# before it has read any, so that one is stated here.
sasl.enabled.mechanisms={mechanism}
sasl.mechanism.inter.broker.protocol={mechanism}
listener.name.clients.{mechanism_name}.sasl.jaas.config=\
  org.apache.kafka.common.security.scram.ScramLoginModule required username="{broker}" password="{password}";
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=\
  org.apache.kafka.common.security.plain.PlainLoginModule required username="{broker}" password="{password}" \
  user_{broker}="{password}";

# Nobody may do what no rule allows. The rules come from the topology (chfw_common.runtime.kafka.rights).
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{broker};User:{admin}

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


def server_properties(*, port: int, controller_port: int, data: Path, password: str) -> str:
    """The broker's properties: one node that is broker and controller, on loopback. `password` is that of BROKER."""
    return _SERVER.format(
        port=port,
        controller_port=controller_port,
        data=data,
        mechanism=MECHANISM,
        mechanism_name=MECHANISM.lower(),
        broker=BROKER,
        admin=ADMIN,
        password=password,
    )


def format_arguments(cluster_id: str, properties: Path, passwords: Mapping[str, str]) -> str:
    """The command that formats the broker's data with its users, as a file of arguments for Java: the arguments of a
    process can be read by every user of the machine."""
    users = (f"{MECHANISM}=[name={user},password={password}]" for user, password in sorted(passwords.items()))
    scram = (argument for user in users for argument in ("--add-scram", user))
    arguments = ("kafka.tools.StorageTool", "format", "--standalone", "-t", cluster_id, "-c", str(properties), *scram)
    return "".join('"{}"\n'.format(argument.replace("\\", "\\\\").replace('"', '\\"')) for argument in arguments)


def logging_properties() -> str:
    """Warnings and worse, to standard output."""
    return _LOGGING
