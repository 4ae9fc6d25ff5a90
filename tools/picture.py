"""The parts of documents that are made from the code: `python -m tools.picture` writes them, `--check` compares.

A part stands between `<!-- made: NAME -->` and `<!-- end -->`. What the parts are made from: the topology (picture,
topics, what a service consumes and emits), the table of readers (views), the settings classes (settings), the
catalogue (verdicts, reasons), the packages that are installed (licences).
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from chfw_cli.simulated import COMPOSITIONS
from chfw_common.kernel.catalogue import REASONS, VERDICTS
from chfw_common.published.readers import READERS
from chfw_common.runtime.settings import ServiceSettings
from chfw_common.topology import CONTROL_LANE, SERVICES, TOPICS, schema_of
from tools.checks.tree import Finding, Tree
from tools.licences import rows as installed

PICTURE = "picture"
_PART = re.compile(r"(<!-- made: (?P<name>[\w\- ]+) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)


class UnknownPartError(Exception):
    """A document asks for a part that nobody makes."""


def picture() -> str:
    """The pipeline as a Mermaid flowchart. An arrow carries all topics of a lane between two services."""
    arrows = sorted(
        (SERVICES.index(topic.producer), SERVICES.index(consumer), topic.lane, TOPICS.index(topic))
        for topic in TOPICS
        for consumer in topic.consumers
    )
    lines = ["```mermaid", "flowchart LR", *(f"    {schema_of(name)}[{name}]" for name in SERVICES)]
    for (producer, consumer, lane), same in groupby(arrows, key=lambda entry: entry[:3]):
        label = "<br/>".join(TOPICS[entry[3]].name for entry in same)
        arrow = "==>" if lane == CONTROL_LANE else "-->"
        lines.append(f'    {schema_of(SERVICES[producer])} {arrow}|"{label}"| {schema_of(SERVICES[consumer])}')
    return "\n".join([*lines, "```"])


def topics() -> str:
    """The topics as a table."""
    rows = [
        (
            f"`{topic.name}`",
            f"{topic.key}, {topic.partitions}",
            "control" if topic.lane == CONTROL_LANE else "bulk",
            topic.producer,
            ", ".join(topic.consumers),
            topic.says,
        )
        for topic in TOPICS
    ]
    return _table(("Topic", "Key, partitions", "Lane", "From", "To", "Says"), rows)


def views() -> str:
    """Who reads whose published views."""
    rows = [(f"`{schema_of(owner)}_published`", owner, ", ".join(readers)) for owner, readers in READERS.items()]
    return _table(("Schema", "Owner", "Readers"), rows)


def flow(service: str) -> str:
    """What a service consumes, from which source, and what it emits."""
    kind, build = COMPOSITIONS[service]
    consumes = build(example_settings(kind)).consumes
    rows = [("consumes", f"`{t.name}`", f"{c.source.value} source", t.says) for t, c in consumes.items()]
    rows += [
        ("emits", f"`{t.name}`", "control lane" if t.lane == CONTROL_LANE else "bulk lane", t.says)
        for t in TOPICS
        if t.producer == service
    ]
    return _table(("", "Topic", "By", "Says"), rows)


def settings(service: str) -> str:
    """The settings of a service that are its own; of `shared`, those of every service."""
    shared = ServiceSettings.model_fields
    own = COMPOSITIONS[service][0].model_fields if service != "shared" else shared
    rows = [
        (f"`CHFW_{name.upper()}`", _default(field), field.description or _choices(field))
        for name, field in own.items()
        if service == "shared" or name not in shared
    ]
    return (
        _table(("Name", "Default", "Meaning"), rows) if rows else "None beyond the [shared ones](README.md#settings)."
    )


def example_settings(kind: type[Any]) -> Any:
    """Settings that are enough to compose a service without running it."""
    none = Path("none")
    return kind(
        database_dsn="postgresql://nobody@nowhere/chfw",
        database_password_file=none,
        kafka_bootstrap="nowhere:1",
        kafka_username="nobody",
        kafka_password_file=none,
        jwks_file=none,
    )


def verdicts() -> str:
    """What each verdict means."""
    return _table(("Verdict", "Means"), [(f"`{name}`", said) for name, said in VERDICTS.items()])


def reasons() -> str:
    """What each reason means."""
    return _table(("Reason", "Means"), [(f"`{name}`", said) for name, said in REASONS.items()])


def licences() -> str:
    """Under which licence each package may be used."""
    return _table(("Package", "Licence", "Installed in"), installed())


PARTS: dict[str, Callable[[], str]] = {
    "licences": licences,
    "picture": picture,
    "topics": topics,
    "views": views,
    "verdicts": verdicts,
    "reasons": reasons,
}
WITH_SERVICE: dict[str, Callable[[str], str]] = {"flow": flow, "settings": settings}


def made(name: str) -> str:
    """The text of a part. Raises UnknownPartError."""
    what, _, service = name.partition(" ")
    if name in PARTS:
        return PARTS[name]()
    if what in WITH_SERVICE and (service in SERVICES or name == "settings shared"):
        return WITH_SERVICE[what](service)
    raise UnknownPartError(name)


def renewed(text: str) -> str:
    """A document with all of its parts as the code has them now."""
    return _PART.sub(lambda part: f"{part[1]}{made(part['name'])}\n{part[4]}", text)


def differences(path: str, text: str) -> Iterator[Finding]:
    """The parts of a document that are not as the code has them now."""
    for part in _PART.finditer(text):
        if part["text"] != made(part["name"]) + "\n":
            line = text.count("\n", 0, part.start()) + 1
            yield Finding(path, line, PICTURE, f"{part['name']}: not as in the code; run python -m tools.picture")


def main(arguments: list[str]) -> int:
    """Write every part of every Markdown file, or with --check print those that are out of date."""
    tree = Tree.of(Path.cwd())
    findings: list[Finding] = []
    for source in tree.sources(".md"):
        if "--check" in arguments:
            findings += differences(source.path, source.text)
        elif (new := renewed(source.text)) != source.text:
            (tree.root / source.path).write_text(new, encoding="utf-8")
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    return 1 if findings else 0


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _default(field: FieldInfo) -> str:
    """The default in the form the environment takes."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, timedelta):
        return f"`{_duration(value)}`"
    if isinstance(value, str | StrEnum):
        return f"`{value}`"
    return f"`{json.dumps(to_jsonable_python(value))}`"


def _duration(value: timedelta) -> str:
    """ISO 8601, in the largest unit that needs no fraction."""
    seconds = int(value.total_seconds())
    for unit, size in (("D", 86_400), ("H", 3_600), ("M", 60)):
        if seconds >= size and seconds % size == 0:
            return f"P{'' if unit == 'D' else 'T'}{seconds // size}{unit}"
    return f"PT{seconds}S"


def _choices(field: FieldInfo) -> str:
    return "One of " + ", ".join(f"`{choice}`" for choice in get_args(field.annotation))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
