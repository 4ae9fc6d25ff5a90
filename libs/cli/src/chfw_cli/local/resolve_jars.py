"""Download the broker's jars into a Maven repository directory and print their paths, one a line.

    python -m chfw_cli.local.resolve_jars DIRECTORY

A process of its own, because the resolver is slow to import and reads its certificates from the environment.
"""

import sys
from dataclasses import replace
from pathlib import Path

from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext
from jgo.parse import Endpoint

KAFKA = "4.3.1"
LOG4J = "2.25.4"
"""Must equal the log4j-core that Kafka brings."""

_BROKER = f"org.apache.kafka:kafka_2.13:{KAFKA}"
_LOGGING = f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J}"
_RUN_TIME = ("compile", "runtime")


def resolve(repository: Path) -> list[Path]:
    """The jars of the broker and the one that lets it log.

    Two resolutions on purpose: in a single one the parent of the logging artifact manages kafka-clients down to an
    older version, without a word.
    """
    context = MavenContext(repo_cache=repository, local_repos=[], remote_repos={"central": MAVEN_CENTRAL_URL})
    broker = _jars(context, _BROKER)
    logging = [jar for jar in _jars(context, _LOGGING) if jar.name == f"log4j-slf4j-impl-{LOG4J}.jar"]
    return [*broker, *logging]


def _jars(context: MavenContext, coordinate: str) -> list[Path]:
    wanted = [
        context.create_dependency(replace(part, scope="compile")) for part in Endpoint.parse(coordinate).coordinates
    ]
    inputs, transitive = context.resolver.resolve(wanted)
    return [Path(found.artifact.resolve()) for found in (*inputs, *transitive) if found.scope in _RUN_TIME]


if __name__ == "__main__":
    sys.stdout.writelines(f"{jar}\n" for jar in resolve(Path(sys.argv[1])))
