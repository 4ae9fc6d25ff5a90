"""Forms of a list, in and out: JSON, NDJSON, CSV, packed or plain; and whatever is wrong is a problem, never a 5xx."""

import csv
import gzip
import json
from typing import Any

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import inputs
from tests.support.release import RELEASE, euis
from tests.support.serving import Stand, bearer

URL = f"/v1/releases/{RELEASE}/instructions"
T = "2026-12-01T02:00:00Z"
QUERY = {"kind": "instruct", "activate_at": T}
JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"


async def send(
    stand: Stand, form: str, body: bytes, key: str = "k1", query: dict[str, str] | None = None, coding: str = ""
) -> Any:
    headers = {**bearer("elec"), "Idempotency-Key": f'"{key}"', "Content-Type": form}
    headers |= {"Content-Encoding": coding} if coding else {}
    params = query if query is not None else {} if form == JSON else QUERY
    return await stand.client.post(URL, content=body, params=params, headers=headers)


def as_json(hubs: list[str]) -> bytes:
    return json.dumps({**QUERY, "hubs": hubs}).encode()


async def test_the_same_list_in_any_form_and_coding_is_the_same_request(stand: Stand) -> None:
    await stand.announce()
    hubs = [*euis(range(1, 4)), "nonsense"]
    forms = {
        JSON: as_json(hubs),
        NDJSON: "\n".join(json.dumps(hub if n % 2 else {"hub": hub}) for n, hub in enumerate(hubs)).encode(),
        CSV: "\r\n".join(["device_id", *hubs]).encode(),
    }
    answers = [
        await send(stand, form, pack(body), coding=coding)
        for form, body in forms.items()
        for coding, pack in (("", bytes), ("gzip", gzip.compress), ("zstd", zstd.compress))
    ]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["request_id"] for answer in answers}) == 1
    assert ["idempotent-replayed" in answer.headers for answer in answers] == [False] + [True] * 8
    other = await send(stand, CSV, forms[CSV] + b"\r\nmore")
    assert (other.status_code, other.json()["code"]) == (422, "reused_key")


async def test_a_csv_file_comes_back_row_by_row_with_its_verdicts(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs(range(1, 3))
    one, two, three = euis(range(1, 4))
    sent = f'verdict,hub,note\r\nmine,{one},"a, ""b""\nc"\r\n\r\n,{two.lower()},\r\n,{three},=1\r\n,"no,id",x\r\n'
    answer = await send(stand, CSV, sent.encode())
    await stand.work()
    url = f"{answer.headers['location']}/results"
    found = await stand.client.get(url, headers={**bearer("elec"), "Accept": CSV})
    assert found.headers["content-type"] == "text/csv; charset=utf-8"
    assert found.text == (
        "hub,verdict,verdict_as_sent,hub_as_sent,note\r\n"
        f'{one},accepted,mine,{one},"a, ""b""\nc"\r\n'
        f"{two},accepted,,{two.lower()},\r\n"
        f"{three},unknown_hub,,{three},'=1\r\n"
        ',malformed_id,,"no,id",x\r\n'
    )
    paged = (await stand.client.get(url, headers=bearer("elec"))).json()["results"]
    assert [row["as_sent"] for row in paged] == [one, two.lower(), three, "no,id"]


async def test_any_list_comes_back_as_csv_in_parts(stand: Stand) -> None:
    await stand.announce()
    await stand.load_hubs(range(1, 12_001))
    hubs = [*euis(range(1, 12_001)), 'say "no"', euis([1])[0]]
    answer = await send(stand, JSON, as_json(hubs))
    url = f"{answer.headers['location']}/results"
    await stand.work(steps=1)
    half = await stand.client.get(url, headers={**bearer("elec"), "Accept": CSV})
    await stand.work()
    whole = await stand.client.get(url, headers={**bearer("elec"), "Accept": CSV})
    assert whole.text.startswith(half.text)
    rows = list(csv.reader(whole.text.splitlines()))
    assert rows[0] == ["hub", "verdict", "as_sent"]
    assert [row[2] for row in rows[1:]] == hubs
    assert [row[1] for row in rows[-3:]] == ["accepted", "malformed_id", "duplicate_in_request"]
    foreign = await stand.client.get(url, headers={**bearer("gas", role="GS"), "Accept": CSV})
    assert foreign.status_code == 404


async def test_a_page_may_span_stored_parts(stand: Stand) -> None:
    await stand.announce()
    answer = await send(stand, JSON, as_json(euis(range(1, 10_003))))
    await stand.work()
    url = f"{answer.headers['location']}/results?limit=10000"
    first = (await stand.client.get(url, headers=bearer("elec"))).json()
    second = (await stand.client.get(f"{url}&after={first['next']}", headers=bearer("elec"))).json()
    assert [row["pos"] for row in (*first["results"], *second["results"])] == list(range(10_002))
    assert second["next"] is None


async def test_progress_says_when_to_look_again(stand: Stand) -> None:
    await stand.announce()
    await send(stand, JSON, as_json(euis(range(1, 25_001))), key="before")
    answer = await send(stand, JSON, as_json(euis([1])))
    location = answer.headers["location"]
    waiting = await stand.client.get(location, headers=bearer("elec"))
    assert waiting.headers["retry-after"] == "3"
    assert waiting.json()["expected_by"] == "2026-10-01T09:00:03Z"
    await stand.work()
    done = await stand.client.get(location, headers=bearer("elec"))
    assert "retry-after" not in done.headers
    assert (done.json()["expected_by"], done.json()["state"]) == (None, "done")


BEFORE_TIME = b'{"kind": "instruct", "hubs": [], "activate_at": "0001-01-01T00:00:00+05:00"}'
BLANKS = b"\n" * (64 << 20)


@pytest.mark.parametrize(
    ("form", "body", "coding", "status", "code"),
    [
        ("application/xml", b"<a/>", "", 415, "unsupported_media_type"),
        ("", b"{}", "", 415, "unsupported_media_type"),
        ("text/csv; charset=utf-16", b"hub", "", 415, "unsupported_media_type"),
        (CSV, b"hub", "br", 415, "unsupported_media_type"),
        (CSV, b"hub", "gzip, zstd", 415, "unsupported_media_type"),
        (CSV, gzip.compress(b"hub\naa\n")[:-3], "gzip", 400, "malformed_body"),
        (CSV, zstd.compress(b"hub\naa\n")[:-3], "zstd", 400, "malformed_body"),
        (CSV, b"hub\naa\n", "gzip", 400, "malformed_body"),
        (CSV, gzip.compress(BLANKS), "gzip", 413, "too_many_entries"),
        (CSV, gzip.compress(b"hub\n" + (b" " * 16_000 + b"\n") * 6_000), "gzip", 413, "too_large"),
        (JSON, zstd.compress(b" " * (15 << 20)), "zstd", 413, "too_large"),
        (JSON, b" " * (17 << 20), "", 413, "too_large"),
        (JSON, b'{"hubs": [' + b"1," * 300_000, "", 413, "too_many_entries"),
        (CSV, b"hub\n" + b"x\n" * 250_001, "", 413, "too_many_entries"),
        (NDJSON, b'"x"\n' * 250_001, "", 413, "too_many_entries"),
        (CSV, b"id\naa\n", "", 400, "malformed_body"),
        (CSV, b"hub,activate_at\naa,2027-01-01T00:00:00Z\n", "", 400, "malformed_body"),
        (CSV, b"hub,Activate At\naa,2027-01-01T00:00:00Z\n", "", 400, "malformed_body"),
        (CSV, b"hub,grp\naa,pilot\n", "", 400, "malformed_body"),
        ("text/csv; header=absent", b"hub\naa\n", "", 415, "unsupported_media_type"),
        (NDJSON, b'{"hub": "x", "activate_at": "2027-01-01T00:00:00Z"}', "", 400, "malformed_body"),
        (JSON, b'{"kind": "instruct", "hubs": ["x"], "activateAt": null}', "", 422, "invalid_request"),
        (JSON, b'{"kind": "decline", "kind": "instruct", "hubs": ["x"]}', "", 400, "malformed_body"),
        (CSV, b"hub\n", "", 422, "empty_list"),
        (NDJSON, b"", "", 422, "empty_list"),
        (NDJSON, b'"x"\n{', "", 400, "malformed_body"),
        (JSON, b'{"hubs": [', "", 400, "malformed_body"),
        (JSON, b'{"kind": "instruct", "hubs": [1, 2]}', "", 422, "invalid_request"),
        (JSON, BEFORE_TIME, "", 422, "invalid_request"),
        (JSON, b'{"kind": "instruct", "hubs": ["x"], "activate_at": 1800000000}', "", 422, "invalid_request"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_body_is_a_problem_and_nothing_is_stored(
    stand: Stand, form: str, body: bytes, coding: str, status: int, code: str
) -> None:
    await stand.announce()
    answer = await send(stand, form, body, coding=coding, query=None if form == JSON else QUERY)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert await stand.fetch("select count(*) from request") == [(0,)]


async def test_the_document_of_the_routes_shows_the_three_forms(stand: Stand) -> None:
    document = (await stand.client.get("/openapi.json")).json()
    content = document["paths"]["/v1/releases/{release_id}/instructions"]["post"]["requestBody"]["content"]
    assert sorted(content) == [JSON, NDJSON, CSV]
    names = {part["$ref"].rpartition("/")[2] for part in (content[JSON]["schema"]["properties"][f] for f in ("kind",))}
    assert names <= set(document["components"]["schemas"])


async def test_the_row_at_fault_is_named(stand: Stand) -> None:
    answer = await send(stand, NDJSON, b'"x"\n"y"\n{}\n')
    assert answer.json()["errors"][0]["row"] == 3


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"kind": "x"},
        {**QUERY, "activate_at": "1800000000"},
        {**QUERY, "activate_at": "2026-12-01"},
        {**QUERY, "group": ""},
        {**QUERY, "group": "PILOT"},
        {**QUERY, "grp": "pilot"},
        {"kind": "instruct", "activateAt": T},
        {"kind": "instruct", "activate_at ": T},
        {"kind": "instruct", "activate_at": " "},
        {"kind": "instruct", "activate_at": T.replace("Z", "+01:00").replace("+", " ")},
    ],
)
async def test_a_list_alone_needs_its_terms_in_the_query(stand: Stand, query: dict[str, str]) -> None:
    answer = await send(stand, CSV, b"hub\naa\n", query=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    both = await send(stand, JSON, as_json(euis([1])), query=QUERY)
    assert (both.status_code, both.json()["code"]) == (422, "invalid_request")


async def test_an_inch_mark_in_one_of_1900_rows_is_taken(stand: Stand) -> None:
    await stand.announce()
    hubs = euis(range(1, 1_901))
    rows = [f"{hub},{'15' if n == 7 else 'none'}{chr(34) * (n == 7)} pipe" for n, hub in enumerate(hubs)]
    answer = await send(stand, CSV, "\r\n".join(["hub,note", *rows]).encode())
    assert (answer.status_code, answer.json()["entries"]) == (202, 1_900)


@pytest.mark.parametrize("name", ["Content-Type", "Content-Encoding", "Idempotency-Key"])
async def test_a_header_that_decides_may_stand_once(stand: Stand, name: str) -> None:
    once = {**bearer("elec"), "Idempotency-Key": '"k"', "Content-Type": CSV, "Content-Encoding": "identity"}
    headers = [*once.items(), (name, once[name])]
    answer = await stand.client.post(URL, params=QUERY, content=b"hub\naa\n", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "duplicate_header")


async def test_an_odd_release_is_an_unknown_one(stand: Stand) -> None:
    for odd in ("%00", "%C3%A9", "%FF", "x" * 5_000):
        headers = {**bearer("elec"), "Idempotency-Key": '"k"', "Content-Type": JSON}
        answer = await stand.client.post(f"/v1/releases/{odd}/instructions", content=as_json(["x"]), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_release")


scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(T)
names = st.sampled_from(["kind", "group", "hubs", "hub", "x"])
document = scalar | st.lists(scalar | st.lists(scalar)) | st.dictionaries(names, scalar | st.lists(scalar))
times = document | st.datetimes().map(str) | st.datetimes().map(lambda at: f"{at.isoformat()}+09:00")
hubs_like = st.lists(st.text() | st.integers() | st.just(euis([1])[0]))
like = st.fixed_dictionaries(
    {"kind": st.sampled_from(["instruct", "agree", "x"]), "hubs": hubs_like}, optional={"activate_at": times}
)
texts = (document | like).map(json.dumps).map(str.encode)
files = st.lists(st.text()).map(lambda lines: "\n".join(["hub", *lines]).encode())
bodies = st.one_of(st.binary(), texts, st.lists(texts).map(b"\n".join), files)
packings = st.sampled_from([bytes, gzip.compress, zstd.compress, lambda body: gzip.compress(body)[:-1]])


@inputs(quick=60, long=2_000)
@given(
    form=st.sampled_from([JSON, NDJSON, CSV]),
    body=bodies,
    pack=packings,
    coding=st.sampled_from(["", "gzip", "zstd"]),
    data=st.data(),
)
async def test_no_body_is_ever_our_fault(
    stand: Stand, form: str, body: bytes, pack: Any, coding: str, data: st.DataObject
) -> None:
    await stand.announce()
    key = f"k{data.draw(st.integers(0, 1 << 60))}"
    answer = await send(stand, form, pack(body), key=key, coding=coding)
    assert answer.status_code == 202 or 400 <= answer.status_code < 500
    if answer.status_code != 202:
        assert answer.json()["code"]
        assert answer.headers["content-type"] == "application/problem+json"
        return
    await stand.work()
    for accept in (JSON, NDJSON, CSV):
        found = await stand.client.get(
            f"{answer.headers['location']}/results", headers={**bearer("elec"), "Accept": accept}
        )
        assert found.status_code == 200
