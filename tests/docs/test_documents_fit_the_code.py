"""What the documents say of routes, settings, topics, views and clauses is what the code has, and all of it."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI

from chfw_cli.simulated import COMPOSITIONS
from chfw_common.published.readers import READERS
from chfw_common.runtime.service import Service
from chfw_common.runtime.settings import ServiceSettings
from chfw_common.topology import BY_NAME, SERVICES, TOPICS, schema_of
from tools import picture

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "services"
ROUTE = re.compile(r"^### `([A-Z]+) (/\S+)`$", re.MULTILINE)
CLAUSE = re.compile(r"^\| *((?:G|R\d|A|B)-\d+)\b", re.MULTILINE)
SETTING = re.compile(r"^\| `CHFW_([A-Z_]+)` \|", re.MULTILINE)


def page(service: str) -> str:
    return (PAGES / f"{service}.md").read_text()


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of the same depth."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def composed(service: str) -> Service:
    kind, build = COMPOSITIONS[service]
    return build(picture.example_settings(kind))


def rows(text: str) -> list[list[str]]:
    """The rows of the tables of a text, their heads left out."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [cells for cells in lines if not cells[0].startswith("---")][1:]


def served(service: Service) -> set[tuple[str, str]]:
    """The (method, path) that the OpenAPI documents of the service's two listeners name."""
    found = set()
    for routers in (service.routes, service.operator_routes):
        app = FastAPI()
        for router in routers:
            app.include_router(router)
        found |= {(method.upper(), path) for path, item in app.openapi()["paths"].items() for method in item}
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_is_on_the_page_and_every_route_of_the_page_exists(service: str) -> None:
    assert set(ROUTE.findall(page(service))) == served(composed(service))


@pytest.mark.parametrize("service", SERVICES)
def test_settings_are_those_of_the_class(service: str) -> None:
    own = COMPOSITIONS[service][0].model_fields.keys() - ServiceSettings.model_fields.keys()
    assert {name.lower() for name in SETTING.findall(section(page(service), "Settings"))} == own


def test_shared_settings_are_those_of_the_class() -> None:
    named = {name.lower() for name in SETTING.findall(section(page("README"), "Settings"))}
    assert named == ServiceSettings.model_fields.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_consumes_and_says_what_the_topology_says(service: str) -> None:
    wanted = {("consumes", topic.name) for topic in TOPICS if service in topic.consumers}
    wanted |= {("emits", topic.name) for topic in TOPICS if topic.producer == service}
    told = {(what, topic.strip("`")) for what, topic, *_ in rows(section(page(service), "Topics")) if "`" in topic}
    assert told == wanted
    assert {topic.name for topic in composed(service).consumes} == {name for what, name in wanted if what == "consumes"}


def test_the_table_of_topics_is_the_topology() -> None:
    told = {row[0].strip("`"): row[1:5] for row in rows(section(architecture(), "Topics"))}
    assert told.keys() == BY_NAME.keys()
    for name, (key, _, producer, consumers) in told.items():
        topic = BY_NAME[name]
        assert key == f"{topic.key}, {topic.partitions}"
        assert (producer, tuple(consumers.split(", "))) == (topic.producer, topic.consumers)


def test_the_table_of_views_is_that_of_the_grants() -> None:
    told = {row[0].strip("`"): tuple(row[2].split(", ")) for row in rows(architecture_views())}
    assert told == {f"{schema_of(owner)}_published": readers for owner, readers in READERS.items()}


def test_the_picture_has_every_arrow() -> None:
    drawn = set(re.findall(r'^    (\w+) [-=]{2}>\|"(.*)"\| (\w+)$', (ROOT / "README.md").read_text(), re.MULTILINE))
    arrows = {(producer, topic, consumer) for producer, label, consumer in drawn for topic in label.split("<br/>")}
    assert arrows == {(schema_of(t.producer), t.name, schema_of(consumer)) for t in TOPICS for consumer in t.consumers}


def test_every_clause_is_traced_once() -> None:
    wanted = CLAUSE.findall((ROOT / "docs" / "requirements.md").read_text())
    assert CLAUSE.findall((ROOT / "docs" / "traceability.md").read_text()) == wanted


def test_every_contract_of_imports_is_explained() -> None:
    contracts = re.findall(r"^\[importlinter:contract:", (ROOT / ".importlinter").read_text(), re.MULTILINE)
    table = section(architecture(), "Layout and import rules").partition("| Contract |")[2]
    # Two contracts, Faust and aiokafka at the rim, share a row.
    assert len(rows("| Contract |" + table)) == len(contracts) - 1


@pytest.mark.parametrize("name", ["picture", "topics", "views", "flow scheduler", "settings shared"])
def test_a_part_that_differs_is_found_and_mended(name: str) -> None:
    stale = f"one\n\n<!-- made: {name} -->\nsomething else\n<!-- end -->\n\ntwo\n"
    (found,) = picture.differences("a.md", stale)
    assert str(found).startswith(f"a.md:3: picture: {name}")
    mended = picture.renewed(stale)
    assert picture.made(name) in mended
    assert not list(picture.differences("a.md", mended))
    assert mended.startswith("one\n")
    assert mended.endswith("two\n")


@pytest.mark.parametrize("name", ["no such part", "flow nobody", "settings"])
def test_a_part_that_nobody_makes_is_refused(name: str) -> None:
    with pytest.raises(picture.UnknownPartError):
        picture.renewed(f"<!-- made: {name} -->\n<!-- end -->\n")


def architecture() -> str:
    return (ROOT / "docs" / "architecture.md").read_text()


def architecture_views() -> str:
    return section(architecture(), "Database roles and published views")
