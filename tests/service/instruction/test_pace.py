"""How long a great list takes, and how much memory; run with -s to read the numbers (docs/limits.md)."""

import json
import tracemalloc

import pytest

from chfw_common.runtime.clock import stopwatch
from chfw_instruction.domain.entries import Listing
from chfw_instruction.domain.lists import CsvReader, NdjsonReader
from tests.support.release import RELEASE, euis
from tests.support.serving import Stand, bearer

URL = f"/v1/releases/{RELEASE}/instructions"
FORMS = {"application/json": 50_000, "application/x-ndjson": 250_000, "text/csv": 250_000}
PIECE = 1 << 16


def body_of(form: str, hubs: list[str]) -> bytes:
    """A list in a form."""
    if form == "text/csv":
        return "\n".join(["hub,site", *(f"{hub},{n}" for n, hub in enumerate(hubs))]).encode()
    if form == "application/json":
        return json.dumps({"kind": "instruct", "hubs": hubs}).encode()
    return "\n".join(f'"{hub}"' for hub in hubs).encode()


@pytest.mark.parametrize("form", FORMS)
async def test_a_great_list_is_judged_in_time(stand: Stand, form: str) -> None:
    entries = FORMS[form]
    await stand.announce()
    await stand.load_hubs(range(1, entries + 1))
    body = body_of(form, euis(range(1, entries + 1)))
    query = {} if form == "application/json" else {"kind": "instruct"}
    headers = {**bearer("elec"), "Idempotency-Key": '"k"', "Content-Type": form}
    begun = stopwatch()
    answer = await stand.client.post(URL, content=body, params=query, headers=headers)
    accepted = stopwatch() - begun
    await stand.work()
    status = (await stand.client.get(answer.headers["location"], headers=bearer("elec"))).json()
    took = stopwatch() - begun
    results = await stand.client.get(status["results"], headers={**bearer("elec"), "Accept": "text/csv"})
    read = stopwatch() - begun - took
    assert status["verdicts"] == {"accepted": entries}
    assert results.text.count("\n") == entries + 1
    print(  # noqa: T201
        f"{entries} entries, {form}, {len(body) >> 10} KiB: accepted {accepted:.2f} s, "
        f"last verdict {took:.2f} s, results as CSV {read:.2f} s"
    )
    assert took < 6.0 * entries / 50_000, "three times the budget: machines are shared"


@pytest.mark.parametrize("form", ["text/csv", "application/x-ndjson"])
def test_a_list_is_held_once_and_packed(form: str) -> None:
    body = body_of(form, euis(range(1, 250_001)))
    listing = Listing(250_000)
    reader = (CsvReader if form == "text/csv" else NdjsonReader)(listing.add)
    tracemalloc.start()
    try:
        for start in range(0, len(body), PIECE):
            reader.feed(body[start : start + PIECE])
        reader.feed(b"", final=True)
        reading = tracemalloc.get_traced_memory()[1]
        chunks = listing.close()
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert sum(map(len, chunks)) == 250_000
    print(f"{form}, {len(body) >> 10} KiB: peak {reading >> 10} KiB, kept {kept >> 10} KiB")  # noqa: T201
    assert kept < 3 * len(body)
    assert reading < 8 * len(body)
