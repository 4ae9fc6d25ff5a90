"""Schemas as plain SQL: a baseline, numbered migrations, a checksum of each, and a refusal when they do not fit."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from chfw_common.runtime.errors import SchemaMissingError, SchemaOutOfDateError
from chfw_common.runtime.service import Tx
from chfw_common.topology import schema_of

BASELINE = 0


@dataclass(frozen=True, slots=True)
class Script:
    """One SQL file of a service: number 0 is the baseline (runtime tables and `schema.sql`)."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """The checksum of the text."""
        return sha256(self.text.encode()).hexdigest()


def scripts_of(service: str) -> list[Script]:
    """The scripts of a service in order, the baseline first."""
    sql = files(f"chfw_{schema_of(service)}") / "sql"
    runtime = (files("chfw_common") / "runtime" / "sql" / "runtime.sql").read_text()
    found = [Script(BASELINE, "baseline", runtime + (sql / "schema.sql").read_text())]
    migrations: Traversable = sql / "migrations"
    names = sorted(entry.name for entry in migrations.iterdir()) if migrations.is_dir() else []
    for name in names:
        if name.endswith(".sql"):
            number, _, rest = name.removesuffix(".sql").partition("_")
            found.append(Script(int(number), rest, (migrations / name).read_text()))
    return found


async def migrate(tx: Tx, service: str) -> list[str]:
    """Bring a service's schema up to date as the owner of the database; says which scripts ran.

    Refuses a schema that is newer than the code, and a script that was changed after it ran. Takes no lock: whoever
    may run beside another (`roles.install_schemas` does) takes an advisory lock first.
    """
    schema = schema_of(service)
    await tx.execute(f'create schema if not exists "{schema}"')
    await tx.execute(f'create schema if not exists "{schema}_published"')
    await tx.execute(f'set local search_path to "{schema}"')
    known = await _applied(tx, schema)
    scripts = scripts_of(service)
    _refuse_misfit(service, known, scripts)
    ran = []
    for script in scripts:
        if script.number not in known:
            await tx.execute(script.text)
            await tx.execute(
                "insert into schema_migration (number, name, sha256) values ($1, $2, $3)",
                script.number,
                script.name,
                script.sha256,
            )
            ran.append(script.name)
    return ran


async def require_current(tx: Tx, service: str) -> None:
    """Raise SchemaMissingError when a script of this code has not run, SchemaOutOfDateError when another has."""
    known = await _applied(tx, schema_of(service))
    scripts = scripts_of(service)
    _refuse_misfit(service, known, scripts)
    missing = [script.name for script in scripts if script.number not in known]
    if missing:
        raise SchemaMissingError(f"{service}: run the migrations first; missing: {', '.join(missing)}")


async def _applied(tx: Tx, schema: str) -> dict[int, str]:
    if await tx.fetchval("select to_regclass($1)", f'"{schema}".schema_migration') is None:
        return {}
    rows = await tx.fetch(f'select number, sha256 from "{schema}".schema_migration order by number')
    return {row["number"]: row["sha256"] for row in rows}


def _refuse_misfit(service: str, known: dict[int, str], scripts: list[Script]) -> None:
    ours = {script.number: script for script in scripts}
    newer = sorted(set(known) - set(ours))
    if newer:
        raise SchemaOutOfDateError(f"{service}: the schema has migrations this code does not know: {newer}")
    for number, checksum in known.items():
        if ours[number].sha256 != checksum:
            raise SchemaOutOfDateError(f"{service}: {ours[number].name} was changed after it ran")
