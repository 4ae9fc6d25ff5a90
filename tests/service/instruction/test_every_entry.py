"""Every entry of every list gets its verdict, once and in its place, whatever stands in it, in each form of a list."""

import csv
import io
import json
from itertools import count
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chfw_common.kernel.ids import InvalidIdError, parse_hub_id
from chfw_instruction.domain.entries import CHUNK_ENTRIES, printable
from tests.service.instruction.test_forms import CSV, JSON, NDJSON, as_json, send
from tests.support.extremes import ENTRIES
from tests.support.fuzzing import inputs
from tests.support.release import euis
from tests.support.serving import Stand, bearer

HUBS = euis(range(1, 4))
PAGE = 3
_keys = count()
entries = st.lists(
    st.sampled_from(["", *HUBS, *(f" {hub.lower()}\t" for hub in HUBS), *ENTRIES]) | st.text(max_size=20),
    min_size=1,
    max_size=8,
)


def as_sent(text: str) -> str:
    """What is kept of an entry."""
    try:
        parse_hub_id(text.strip())
    except InvalidIdError:
        return printable(text)
    return text.strip()


def body_of(form: str, texts: list[str]) -> bytes:
    """A list in a form."""
    if form == JSON:
        return as_json(texts)
    if form == NDJSON:
        return "\n".join(map(json.dumps, texts)).encode()
    lines = io.StringIO()
    csv.writer(lines, quoting=csv.QUOTE_ALL).writerows([["hub", "note"], *([text, "n"] for text in texts)])
    return lines.getvalue().encode()


async def paged(stand: Stand, request: str) -> list[dict[str, Any]]:
    """All verdicts, page by page; `next` ends."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        params = {"limit": str(PAGE)} | ({} if after is None else {"after": after})
        answer = await stand.client.get(f"/v1/instructions/{request}/results", params=params, headers=bearer("elec"))
        page = answer.json()
        found += page["results"]
        after = page["next"]
        if after is None:
            return found
        assert page["results"], "a page without rows is the last one once all is judged"


async def downloaded(stand: Stand, request: str, form: str) -> str:
    """The same in one piece."""
    headers = {**bearer("elec"), "Accept": form}
    return (await stand.client.get(f"/v1/instructions/{request}/results", headers=headers)).text


async def verdicts_of(stand: Stand, form: str, texts: list[str]) -> list[dict[str, Any]]:
    """The verdicts of a list, which every form of the answer, and the view for people, tell alike."""
    answer = await send(stand, form, body_of(form, texts), key=f"every-{next(_keys)}")
    assert (answer.status_code, answer.json()["entries"]) == (202, len(texts)), answer.text
    request = answer.json()["request_id"]
    await stand.work()
    shown = await paged(stand, request)
    assert [json.loads(line) for line in (await downloaded(stand, request, NDJSON)).splitlines()] == shown
    _, *rows = csv.reader(io.StringIO(await downloaded(stand, request, CSV), newline=""))
    assert [row[:2] for row in rows] == [[one["hub"] or "", one["verdict"]] for one in shown]
    kept = await stand.fetch("select pos, raw, verdict from verdict where request_id::text = $1 order by pos", request)
    assert kept == [(one["pos"], one["as_sent"], one["verdict"]) for one in shown]
    return shown


@pytest.mark.parametrize("form", [JSON, NDJSON, CSV])
@inputs(quick=40, long=2_000)
@given(texts=entries)
@example(texts=[""])
@example(texts=["", ""])
@example(texts=["\n"])
@example(texts=[" ", "", "\t"])
@example(texts=[HUBS[0], ""])
async def test_every_entry_has_one_verdict_in_its_place(stand: Stand, form: str, texts: list[str]) -> None:
    await stand.announce()
    texts = [text.replace("\0", "") for text in texts] if form == CSV else texts
    shown = await verdicts_of(stand, form, texts)
    assert [(one["pos"], one["as_sent"]) for one in shown] == [(n, as_sent(text)) for n, text in enumerate(texts)]
    progress = {one["verdict"] for one in shown}
    assert progress <= {"malformed_id", "duplicate_in_request", "unknown_hub"}


@pytest.mark.parametrize("form", [JSON, NDJSON, CSV])
async def test_an_empty_text_alone_in_its_chunk(stand: Stand, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is one entry longer than a chunk, and that entry is the empty text."""
    monkeypatch.setattr("tests.service.instruction.test_every_entry.PAGE", CHUNK_ENTRIES)
    await stand.announce()
    shown = await verdicts_of(stand, form, [*["zz"] * CHUNK_ENTRIES, ""])
    assert [one["pos"] for one in shown] == [*range(CHUNK_ENTRIES + 1)]
    assert (shown[-1]["as_sent"], shown[-1]["verdict"]) == ("", "malformed_id")
