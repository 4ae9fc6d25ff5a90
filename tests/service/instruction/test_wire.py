"""What stands on the wire before a request to intake is one: its key, marks, empty times, forms, odd texts."""

import codecs
import json
from typing import Any

import pytest

from tests.support.release import RELEASE, euis
from tests.support.serving import Stand, bearer

URL = f"/v1/releases/{RELEASE}/instructions"
JSON = "application/json"
BODY = {"kind": "instruct", "hubs": euis([1])}


async def send(stand: Stand, content: bytes, key: str = '"k"', form: str = JSON, **query: str) -> Any:
    headers = {**bearer("elec"), "Content-Type": form}
    named = [
        *((name.encode(), value.encode()) for name, value in headers.items()),
        (b"Idempotency-Key", key.encode("latin-1")),
    ]
    return await stand.client.post(URL, content=content, params=query, headers=named)


@pytest.mark.parametrize("key", ["abc", 'abc"', '"abc', '""abc""', "'abc'", '"abc";p=1', '"a\u00e9"', '""', '"', ""])
async def test_a_key_that_is_no_structured_string_is_refused(stand: Stand, key: str) -> None:
    await stand.announce()
    taken = await send(stand, json.dumps(BODY).encode(), '"abc"')
    assert taken.status_code == 202
    answer = await send(stand, json.dumps(BODY).encode(), key)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")
    assert '"a-1"' in answer.json()["detail"]


async def test_keys_that_differ_are_different_requests(stand: Stand) -> None:
    await stand.announce()
    keys = ['"abc"', '"ABC"', '" abc"', r'"\"abc"', r'"abc\\"', '"' + "x" * 200 + '"']
    answers = [await send(stand, json.dumps(BODY).encode(), key) for key in keys]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["request_id"] for answer in answers}) == len(keys)
    assert (await send(stand, json.dumps(BODY).encode(), '"' + "x" * 201 + '"')).status_code == 400


async def test_a_byte_order_mark_is_passed_over_in_every_form(stand: Stand) -> None:
    await stand.announce()
    forms = {
        JSON: json.dumps(BODY),
        "application/x-ndjson": f'"{BODY["hubs"][0]}"',
        "text/csv": f"hub\n{BODY['hubs'][0]}",
    }
    ids = set()
    for form, text in forms.items():
        query = {} if form == JSON else {"kind": "instruct"}
        for mark in (b"", codecs.BOM_UTF8):
            answer = await send(stand, mark + text.encode(), form=form, **query)
            assert answer.status_code == 202, answer.text
            ids.add(answer.json()["request_id"])
    assert len(ids) == 1


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8 * 2, codecs.BOM_UTF16_LE])
async def test_other_marks_are_malformed(stand: Stand, mark: bytes) -> None:
    await stand.announce()
    answer = await send(stand, mark + json.dumps(BODY).encode())
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


@pytest.mark.parametrize("blank", ["", " "])
async def test_an_empty_time_says_how_to_leave_it_out(stand: Stand, blank: str) -> None:
    await stand.announce()
    answer = await send(stand, json.dumps({**BODY, "activate_at": blank}).encode())
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "/body/activate_at")
    assert "leave the field out or write null" in error["message"]
    assert (await send(stand, json.dumps({**BODY, "activate_at": None}).encode())).status_code == 202


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (["application/json, text/csv;q=0.1"], JSON),
        (["text/csv;q=0, application/json"], JSON),
        (["TEXT/CSV"], "text/csv; charset=utf-8"),
        (["application/json;q=0.1", "application/x-ndjson"], "application/x-ndjson"),
    ],
)
async def test_verdicts_come_in_the_form_that_weighs_most(stand: Stand, accept: list[str], form: str) -> None:
    await stand.announce()
    location = (await send(stand, json.dumps(BODY).encode())).headers["location"]
    headers = [*bearer("elec").items(), *(("Accept", line) for line in accept)]
    answer = await stand.client.get(f"{location}/results", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, form)
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    "text", [r'"\ud800"', r'{"hub": "\udfff\ud800"}', r'"\u0000"', '"\u00e9\U0001f600"', r'"\ud83d\ude00"']
)
@pytest.mark.parametrize("form", [JSON, "application/x-ndjson"])
async def test_any_text_for_a_hub_is_a_verdict_or_a_refusal(stand: Stand, text: str, form: str) -> None:
    await stand.announce()
    if form == JSON:
        answer = await send(stand, f'{{"kind": "instruct", "hubs": [{text}]}}'.encode())
    else:
        answer = await send(stand, text.encode(), form=form, kind="instruct")
    assert answer.status_code in (202, 400, 422), answer.text
    if answer.status_code == 202:
        await stand.work()
        for accept in (JSON, "application/x-ndjson", "text/csv"):
            headers = {**bearer("elec"), "Accept": accept}
            shown = await stand.client.get(f"{answer.headers['location']}/results", headers=headers)
            assert (shown.status_code, "malformed_id" in shown.text) == (200, True)
