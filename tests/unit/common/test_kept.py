"""Headers are kept to the byte, whatever their names and values are."""

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from chfw_common.runtime.kept import Headers, keep_headers, kept_headers
from tests.support.fuzzing import inputs

NAMES = st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))
HEADERS = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=20)), max_size=5)


@given(HEADERS)
@example([("\u0100", b"\0"), ("\0", None), ("\udcff\0", b""), ("latin-1", b"latin-1")])
@inputs()
def test_headers_come_back_to_the_byte(headers: Headers) -> None:
    kept = orjson.dumps(keep_headers(headers))
    assert b"\\u0000" not in kept, "Postgres takes no NUL"
    assert list(kept_headers(orjson.loads(kept))) == list(headers)
