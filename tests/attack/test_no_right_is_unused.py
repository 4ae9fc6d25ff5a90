"""No service may read, write or consume what its code has no use for: rights are compared with what the code names."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from chfw_common import published, topology
from chfw_common.published.readers import READERS
from chfw_common.topology import SERVICES, TOPICS, Topic, schema_of
from tests.service.documents.stand import composed

TREE = Path(__file__).parents[2]
READER_MODULES = Path(next(iter(published.__path__)))
CONSTANTS = {name: topic for name, topic in vars(topology).items() if isinstance(topic, Topic)}


@pytest.fixture
async def admin(chfw_dsn: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A database with everything installed."""
    connection = await asyncpg.connect(chfw_dsn)
    yield connection
    await connection.close()


def source_of(service: str) -> str:
    """All code and statements of a service."""
    folder = TREE / "services" / service / "src"
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.suffix in {".py", ".sql"})


def statements_on(service: str, schema: str) -> list[str]:
    """The statements of a service that name a view of another."""
    folder = TREE / "services" / service / "src"
    named = (path.read_text().split("-- name: ") for path in sorted(folder.rglob("*.sql")))
    return [statement for statements in named for statement in statements if f"{schema}." in statement]


def reads(service: str, owner: str) -> bool:
    """Whether the code of a service looks at a view of another."""
    source = source_of(service)
    imported = re.findall(r"from chfw_common\.published import ([\w, ]+)", source)
    return f"{schema_of(owner)}_published." in source or any(owner in names.split(", ") for names in imported)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_may_look_at_the_views_that_its_code_names(admin: Any, service: str) -> None:
    owners = {owner for owner in SERVICES if owner != service and reads(service, owner)}
    assert {owner for owner, readers in READERS.items() if service in readers} == owners
    rows = await admin.fetch(
        """select schemaname from pg_views where schemaname like '%published'
           and has_table_privilege($1, quote_ident(schemaname) || '.' || quote_ident(viewname), 'select')""",
        f"chfw_{schema_of(service)}",
    )
    assert {row["schemaname"] for row in rows} == {f"{schema_of(owner)}_published" for owner in owners}


async def test_every_column_of_a_view_is_read_by_somebody(admin: Any) -> None:
    rows = await admin.fetch(
        """select table_schema, table_name, column_name from information_schema.columns
           where table_schema like '%published'"""
    )
    views = await admin.fetch(
        "select schemaname, viewname, definition from pg_views where schemaname like '%published'"
    )
    assert rows
    for row in rows:
        owner = row["table_schema"].removesuffix("_published")
        module = READER_MODULES / f"{owner}.py"
        texts = [text for reader in READERS[owner] for text in statements_on(reader, row["table_schema"])]
        texts += [module.read_text()] if module.exists() else []
        # A view may be made from another, which is then read through it.
        name = f"{row['table_schema']}.{row['table_name']}"
        texts += [view["definition"] for view in views if name in view["definition"]]
        used = [text for text in texts if re.search(rf"\b{row['column_name']}\b", text)]
        assert used, f"{row['table_schema']}.{row['column_name']} is published and nobody reads it"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_consumes_and_produces_what_the_topology_says_and_its_code_names(service: str) -> None:
    consumed = {topic for topic in TOPICS if service in topic.consumers}
    produced = {topic for topic in TOPICS if topic.producer == service}
    assert set(composed(service).consumes) == consumed
    source = source_of(service)
    named = {topic for name, topic in CONSTANTS.items() if re.search(rf"\b{name}\b", source)}
    assert {topic.name for topic in named} == {topic.name for topic in consumed | produced}


@pytest.mark.parametrize("service", SERVICES)
async def test_no_sequence_but_the_one_that_the_relay_looks_at(admin: Any, service: str) -> None:
    """To insert into a table with an identity column needs no right to its sequence."""
    role = f"chfw_{schema_of(service)}"
    rows = await admin.fetch(
        """select schemaname || '.' || sequencename as name from pg_sequences
           where has_sequence_privilege($1, quote_ident(schemaname) || '.' || quote_ident(sequencename),
                                        'usage, select, update')""",
        role,
    )
    assert [row["name"] for row in rows] == [f"{schema_of(service)}.outbox_id_seq"]
    async with admin.transaction():
        await admin.execute(f'set local role "{role}"')
        await admin.execute(
            f"""insert into "{schema_of(service)}".set_aside (tick, work, error, set_aside_at)
                values ('t', '{{}}', 'e', now())"""
        )
        assert await admin.fetchval("select pg_sequence_last_value($1)", f"{schema_of(service)}.outbox_id_seq") is None
