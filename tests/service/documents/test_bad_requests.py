"""What is wrong with a request is said in one way by every route, and nothing of it is done."""

import codecs
import gzip
import json
import random
from typing import Any

import pytest
from backports import zstd

from chfw_common.kernel.ids import LONGEST_NAME, PartyId, UserId
from chfw_common.runtime.http.json_route import LARGE
from tests.service.documents.stand import Published
from tests.service.documents.uses import JSON_ROUTES, ROUTES, USES

each_json_route = pytest.mark.parametrize(("service", "route"), JSON_ROUTES)
GZIP = {"Content-Encoding": "gzip"}
ZSTD = {"Content-Encoding": "zstd"}
BODIES: list[tuple[int, str, bytes, dict[str, str]]] = [
    (400, "malformed_body", b"{", {}),
    (400, "malformed_body", b"\xff{}", {}),
    (400, "malformed_body", '{"a": 1}'.encode("utf-16")[:-1], {}),
    (400, "malformed_body", '{"a": 1}'.encode("utf-16"), {}),
    (400, "malformed_body", '{"a": 1}'.encode("utf-32-le"), {}),
    (400, "malformed_body", codecs.BOM_UTF8 * 2 + b"{}", {}),
    (400, "malformed_body", codecs.BOM_UTF8, {}),
    (400, "malformed_body", b"[" * 60_000, {}),
    (400, "malformed_body", b"9" * 10_000, {}),
    (400, "malformed_body", b'{"share": NaN}', {}),
    (400, "malformed_body", gzip.compress(b"{}")[:-3], GZIP),
    (400, "malformed_body", zstd.compress(b"{}")[:-3], ZSTD),
    (400, "malformed_body", b"{}", GZIP),
    (413, "too_large", b" " * (LARGE + 1), {}),
    (413, "too_large", gzip.compress(b" " * (64 << 20)), GZIP),
    (413, "too_large", zstd.compress(b" " * (64 << 20)), ZSTD),
    (415, "unsupported_media_type", b"{}", {"Content-Encoding": "br"}),
    (415, "unsupported_media_type", b"{}", {"Content-Type": "text/plain"}),
    (415, "unsupported_media_type", b"{}", {"Content-Type": ""}),
    (415, "unsupported_media_type", b"{}", {"Content-Type": "application/json; charset=utf-16"}),
    (422, "invalid_request", b"", {}),
    (422, "invalid_request", b"[]", {}),
    (422, "invalid_request", b"null", {}),
    (422, "invalid_request", codecs.BOM_UTF8 + b"null", {}),
    (422, "invalid_request", b'"\\ud800"', {}),
    (422, "invalid_request", b'{"\\ud800": 1, "unknown": 1}', {}),
    (422, "invalid_request", b'{"\\u0000": ' + b"9" * 4_000 + b"}", {}),
    (422, "invalid_request", gzip.compress(b'{"unknown": 1}'), GZIP),
    (422, "invalid_request", zstd.compress(b'{"unknown": 1}'), ZSTD),
]
NO_TIMES = [5, 1_800_000_000, 1.5, True, "1800000000", "2027-01-24", "2027-01-24T00:00:00", "24 January 2027"]
SAID: dict[Any, str] = {
    5: "a time is text, as in 2027-01-24T00:00:00Z",
    "2027-01-24": "`2027-01-24` is a date: add the time of day and its zone, as in 2027-01-24T00:00:00Z",
    "2027-01-24T00:00:00": "`2027-01-24T00:00:00` has no zone: add Z for UTC, as in 2027-01-24T00:00:00Z",
    "24 January 2027": "`24 January 2027` is not written as a time: write date, time of day and zone,"
    " as in 2027-01-24T00:00:00Z",
}
BEYOND = "a time lies between 1970-01-01T00:00:00Z and 2200-01-01T00:00:00Z"
LATEST = "2200-01-01T00:00:00Z"
NO_DAYS_OF_OURS = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+05:00",
    "1969-12-31T23:59:59.999999Z",
    "2200-01-01T00:00:00.000001Z",
    "9999-12-31T23:59:59-05:00",
    "9999-12-31T23:59:59.999999Z",
)
SAID |= dict.fromkeys(NO_DAYS_OF_OURS, BEYOND)
ENDS = [*NO_DAYS_OF_OURS, "1970-01-01T00:00:00Z", LATEST]


@each_json_route
async def test_a_bad_body_is_told_what_is_wrong(published: Published, route: str) -> None:
    for status, code, body, headers in BODIES:
        answer = await published.call(route, body, headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (body[:40], headers, answer.text)


@each_json_route
async def test_what_is_no_json_is_told_where(published: Published, route: str) -> None:
    text = '{"é": "é", x}'.encode()
    for mark in (b"", codecs.BOM_UTF8):
        answer = await published.call(route, mark + text, {})
        assert answer.json()["errors"][0]["offset"] == len(mark) + text.index(b"x")


@each_json_route
async def test_a_byte_order_mark_before_json_is_passed_over(published: Published, service: str, route: str) -> None:
    body = codecs.BOM_UTF8 + json.dumps(USES[service][route].body).encode()
    assert (await published.call(route, body, {"Idempotency-Key": '"marked"'})).status_code in (200, 201, 409)


LONGEST = "".join(random.Random(1).choices([chr(0x20000 + n) for n in range(40_000)], k=LONGEST_NAME))
"""The longest name of a Party, 800 bytes that no compression makes shorter."""


@pytest.mark.parametrize(("service", "route"), ROUTES)
async def test_a_party_that_a_database_cannot_hold_or_index_is_no_caller(
    published: Published, service: str, route: str
) -> None:
    use = USES[service][route]
    body = json.dumps(use.body).encode()
    for party in ("a\0b", "\0", LONGEST + "x", LONGEST * 50, " ", "a\nb", "\u202e"):
        token = published.issuer.token(PartyId(party), UserId("u"), use.role)
        answer = await published.call(route, body, {"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["detail"]) == (
            401,
            "The claim party is not one that is taken here.",
        )
    token = published.issuer.token(PartyId(LONGEST), UserId(LONGEST), use.role)
    key = {"Idempotency-Key": f'"{"k" * 200}"'}
    assert (await published.call(route, body, {"Authorization": f"Bearer {token}", **key})).status_code < 500


HEADERS = (
    "Accept",
    "Accept-Encoding",
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "Cookie",
)


@pytest.mark.parametrize(("service", "route"), ROUTES)
async def test_a_header_that_is_not_ascii_is_refused_or_passed_over(
    published: Published, service: str, route: str
) -> None:
    for name in HEADERS:
        for value in ("\u00e9", "Bearer \u00e9.\u00ff.\u00b2", "text/csv;q=\u00b2", '"\u00ff"', "\x00", "\x7f"):
            answer = await published.call(
                route, json.dumps(USES[service][route].body).encode(), {name: value.encode("latin-1")}
            )
            assert answer.status_code < 500, (name, value)


@pytest.mark.parametrize(
    ("service", "route", "where"),
    [
        ("governance", "POST /v1/releases/{release_id}/decisions", ("automatic_date",)),
        ("notifier", "POST /v1/releases", ("pilot_opens",)),
        ("notifier", "POST /v1/releases", ("pilot_closes",)),
        ("smi", "POST /v1/hubs:load", ("hubs", 0, "status_since")),
        ("smi", "POST /v1/hubs:load", ("hubs", 0, "responsible", 0, "since")),
        ("smi", "POST /v1/hubs:change-supplier", ("changes", 0, "since")),
    ],
)
async def test_an_empty_time_that_may_be_left_out_says_so(
    published: Published, service: str, route: str, where: tuple[str | int, ...]
) -> None:
    body = json.loads(json.dumps(USES[service][route].body))
    part: Any = body
    for name in where[:-1]:
        part = part[name]
    part[where[-1]] = ""
    answer = await published.call(route, json.dumps(body).encode(), {})
    said = {error["pointer"]: error["message"] for error in answer.json()["errors"]}
    assert "leave the field out or write null" in said["/body/" + "/".join(map(str, where))]


@pytest.mark.parametrize(("service", "route"), [(s, r) for s, r in ROUTES if "{release_id}" in r])
async def test_an_odd_release_is_an_unknown_one(published: Published, service: str, route: str) -> None:
    body = json.dumps(USES[service][route].body).encode()
    for odd in ("%00", "%C3%A9", "%FF", "a b", "x" * 5_000, "%0A", "CH-9-2%00"):
        published.known["release_id"] = odd
        answer = await published.call(route, body, {})
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_release"), odd


@pytest.mark.parametrize(
    ("service", "route", "where"),
    [
        ("governance", "POST /v1/releases/{release_id}/decisions", ("automatic_date",)),
        ("notifier", "POST /v1/releases", ("automatic_date",)),
        ("notifier", "POST /v1/releases", ("pilot_opens",)),
        ("notifier", "POST /v1/releases", ("pilot_closes",)),
        ("smi", "POST /v1/hubs:load", ("hubs", 0, "status_since")),
        ("smi", "POST /v1/hubs:load", ("hubs", 0, "responsible", 0, "since")),
        ("smi", "POST /v1/hubs:change-supplier", ("changes", 0, "since")),
    ],
)
async def test_a_time_is_a_text_that_a_calendar_holds(
    published: Published, service: str, route: str, where: tuple[str | int, ...]
) -> None:
    for at in (*ENDS, *NO_TIMES):
        body = json.loads(json.dumps(USES[service][route].body))
        part: Any = body
        for name in where[:-1]:
            part = part[name]
        part[where[-1]] = at
        answer = await published.call(route, json.dumps(body).encode(), {"Idempotency-Key": f'"{at}"'})
        assert answer.status_code < 500
        if service == "smi" and at == LATEST:
            assert f"{LATEST} lies in the future" in answer.json()["errors"][0]["message"]
        if at in SAID:
            assert [error["message"] for error in answer.json()["errors"]] == [SAID[at]]
        # The first and the last instant are instants: whether they may be this one's is another matter.
        assert f"{at}".endswith("Z") or answer.json()["code"] == "invalid_request"


@pytest.mark.parametrize(("service", "route"), [("notifier", "POST /v1/releases")])
async def test_a_wait_is_a_text(published: Published, service: str, route: str) -> None:
    for wait in (86_400, 1.5, "a while", True, "P300D", "-P1D"):
        await _refused(published, route, {**USES[service][route].body, "lone_lead": wait})


@pytest.mark.parametrize(
    ("service", "route", "field", "wrong"),
    [
        ("notifier", "POST /v1/releases", "pilot_cap", [True, "5", 5.5]),
        ("notifier", "POST /v1/releases", "priority", [True, "1", 1.5]),
        (
            "notifier",
            "POST /v1/releases/{release_id}/pilot:preview",
            "share",
            [True, "", " 0.5", "0_1.5", "1e-1", "half", "2", "0.\u0661"],
        ),
        ("notifier", "POST /v1/releases/{release_id}/pilot:preview", "size", [True, "5", 5.5]),
        ("notifier", "POST /v1/releases/{release_id}/pilot:preview", "stratified", [1, 0, "yes", "true"]),
        ("governance", "POST /v1/releases/{release_id}/decisions", "expected_epoch", [True, "0", 0.5]),
    ],
)
async def test_a_number_is_a_number_and_a_flag_a_flag(
    published: Published, service: str, route: str, field: str, wrong: list[Any]
) -> None:
    for value in wrong:
        await _refused(published, route, {**USES[service][route].body, field: value})


async def _refused(published: Published, route: str, body: dict[str, Any]) -> None:
    answer = await published.call(route, json.dumps(body).encode(), {})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), body


@pytest.mark.parametrize(("service", "route"), [("smi", "POST /v1/hubs:load"), ("device-sim", "POST /v1/devices:load")])
@pytest.mark.parametrize("hub", [1, 1 << 70, True, None, "", "zz", "00-00-00-00-00-00-00-01\n"])
async def test_a_hub_is_text_and_a_text_has_no_nul(published: Published, service: str, route: str, hub: Any) -> None:
    plain = USES[service][route].body
    ((name, (record,)),) = plain.items()
    await _refused(published, route, {name: [{**record, "hub": hub}]})
    for field in ("manufacturer", "model", "hardware", "firmware", "region"):
        await _refused(published, route, {name: [{**record, field: "a\0b"}]})
