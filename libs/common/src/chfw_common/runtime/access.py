"""Who may do what with each table: grants and row security, made from a list beside the schema (`sql/access.toml`).

A service has two roles. Its own does the main line: handlers, ticks, jobs, and what the DCC asks for. The other has no
login. What a Party asks for runs as that role (`http.commands`): row security shows it the rows of that Party and
nothing else, whatever a statement asks for. A table that nobody has listed is closed to both (ADR 0080).
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from chfw_common.published.readers import READERS
from chfw_common.runtime.service import Tx
from chfw_common.topology import SERVICES, schema_of

PARTY = "chfw.party"
"""The setting that names the Party of a transaction."""
_PARTY = f"(select nullif(current_setting('{PARTY}', true), ''))"
_RUNTIME = ("chfw_common", "runtime/sql/access.toml")


class UnlistedTableError(Exception):
    """A table without an entry in the list, or an entry without a table: nobody has said who may touch it."""


@dataclass(frozen=True, slots=True)
class Access:
    """The entry of a table. `why`: the reason for which it has no row security; with row security there is none."""

    table: str
    service: str
    party: str = ""
    rows_of: tuple[str, ...] = ()
    shown_to: tuple[str, ...] = ()
    why: str | None = None

    @property
    def of_the_party(self) -> str:
        """The condition under which a row is one of the Party of the transaction; without one no row is."""
        return f"{_PARTY} in ({', '.join(self.rows_of)})"


def role_of(service: str) -> str:
    """The role that a service logs in with."""
    return f"chfw_{schema_of(service)}"


def party_role_of(service: str) -> str:
    """The role that a request of a Party runs as."""
    return f"{role_of(service)}_party"


def access_of(service: str) -> dict[str, Access]:
    """The entries of a service's tables, and those of the runtime where it has none of its own."""
    sources = (_RUNTIME, (f"chfw_{schema_of(service)}", "sql/access.toml"))
    return {entry.table: entry for package, path in sources for entry in _read(package, path)}


async def make_roles(tx: Tx) -> None:
    """The two roles of each service, where they are missing. Safe to repeat."""
    for service in SERVICES:
        role, party = role_of(service), party_role_of(service)
        for name, login in ((role, "login"), (party, "nologin")):
            if not await tx.fetchval("select exists (select 1 from pg_roles where rolname = $1)", name):
                await tx.execute(f'create role "{name}" {login} nosuperuser nobypassrls nocreatedb nocreaterole')
        # Without inheritance: the main line has the rights of the service alone.
        await tx.execute(f'grant "{party}" to "{role}" with inherit false, set true')


async def grant_access(tx: Tx, service: str) -> None:
    """Make the grants and the row security of a service's schema what the list says. Safe to repeat.

    Raises UnlistedTableError when list and schema differ.
    """
    schema, entries = schema_of(service), access_of(service)
    tables = {row[0] for row in await tx.fetch("select tablename from pg_tables where schemaname = $1", schema)}
    if tables != entries.keys():
        raise UnlistedTableError(f"{service}: {', '.join(sorted(tables ^ entries.keys()))}: see sql/access.toml")
    role, party = role_of(service), party_role_of(service)
    everybody = ", ".join(f'"{name}"' for one in SERVICES for name in (role_of(one), party_role_of(one)))
    for place in (schema, f"{schema}_published"):
        await tx.execute(f'revoke all on all tables in schema "{place}" from public, {everybody}')
    await tx.execute(f'grant usage on schema "{schema}" to "{role}", "{party}"')
    # An insert needs no right to the sequence of an identity column; the relay looks at this one.
    await tx.execute(f'grant usage on sequence "{schema}".outbox_id_seq to "{role}"')
    for entry in entries.values():
        for statement in _statements(entry, service):
            await tx.execute(statement)
    await _grant_views(tx, service, entries)


def _read(package: str, path: str) -> Iterator[Access]:
    for table, said in tomllib.loads((files(package) / path).read_text()).items():
        words: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in said.items()}
        yield Access(table, **words)


def _statements(entry: Access, service: str) -> Iterator[str]:
    """The grants and the row security of one table."""
    table, role, party = f'"{schema_of(service)}"."{entry.table}"', role_of(service), party_role_of(service)
    yield f'grant {_verbs(entry.service)} on {table} to "{role}"'
    if entry.party:
        yield f'grant {_verbs(entry.party)} on {table} to "{party}"'
    if entry.why is not None:
        return
    yield f"alter table {table} enable row level security, force row level security"
    yield from _policy("service", table, role, "for all", "using (true) with check (true)")
    yield from _policy("readers", table, "", "", None)
    yield from _policy("party", table, party, "for all", f"using ({entry.of_the_party})" if entry.party else None)
    shown = f"using ({entry.of_the_party})" if entry.shown_to else None
    yield from _policy("shown", table, ", ".join(map(party_role_of, entry.shown_to)), "for select", shown)


def _policy(name: str, table: str, roles: str, verbs: str, condition: str | None) -> Iterator[str]:
    """A policy as it is to be; None: there is none."""
    yield f'drop policy if exists "{name}" on {table}'
    if condition is not None:
        yield f'create policy "{name}" on {table} {verbs} to {roles} {condition}'


def _verbs(words: str) -> str:
    return ", ".join(words.split())


_VIEWS = """
select c.oid, n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'v' and n.nspname = any($1::text[]) order by c.oid
"""
_COLUMNS = """
with recursive used (by, oid, column_number) as (
    select r.ev_class, d.refobjid, d.refobjsubid from pg_rewrite r
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
        and d.refobjid <> r.ev_class and d.refobjsubid > 0
), behind as (
    select oid, column_number from used where by = $1
    union
    select used.oid, used.column_number from behind join used on used.by = behind.oid
)
select t.relname as table, array_agg(distinct a.attname::text order by a.attname::text) as columns
from behind
join pg_class t on t.oid = behind.oid and t.relkind = 'r'
join pg_attribute a on a.attrelid = t.oid and a.attnum = behind.column_number
group by t.relname order by t.relname
"""
"""The columns of tables behind a view, also through other views."""


async def _grant_views(tx: Tx, service: str, entries: dict[str, Access]) -> None:
    """Views have the rights of who asks: row security holds behind them as well.

    Who reads a published view may read the columns behind it, but not name their table: that takes the schema.
    """
    schema = schema_of(service)
    published = f"{schema}_published"
    for view in await tx.fetch(_VIEWS, [schema, published]):
        name = f'"{view["schema"]}"."{view["name"]}"'
        await tx.execute(f"alter view {name} set (security_invoker = true)")
        if view["schema"] == schema:
            await tx.execute(f'grant select on {name} to "{role_of(service)}"')
            continue
        behind = await tx.fetch(_COLUMNS, view["oid"])
        shown_to = {reader for one in behind for reader in entries[one["table"]].shown_to}
        services = [role_of(reader) for reader in READERS.get(service, ())]
        for one in behind:
            if entries[one["table"]].why is None:
                table = f'"{schema}"."{one["table"]}"'
                for statement in _policy("readers", table, ", ".join(services), "for select", "using (true)"):
                    await tx.execute(statement)
        for reader in [*services, *map(party_role_of, sorted(shown_to))]:
            await tx.execute(f'grant usage on schema "{published}" to "{reader}"')
            await tx.execute(f'grant select on {name} to "{reader}"')
            for one in behind:
                columns = ", ".join(f'"{column}"' for column in one["columns"])
                await tx.execute(f'grant select ({columns}) on "{schema}"."{one["table"]}" to "{reader}"')
