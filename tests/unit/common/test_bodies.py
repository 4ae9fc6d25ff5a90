"""Codings undone in pieces: the content or a problem, whatever the bytes, and never more than the caps allow."""

import gzip
import zlib
from collections.abc import Callable

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.runtime.http.bodies import MEMBERS, PIECE, RATIO_FREE, BodyLimits, Decoder
from chfw_common.runtime.http.problems import Problem
from tests.support.fuzzing import inputs

LIMITS = BodyLimits(size=4 << 20, ratio=100)
PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress, "": bytes}
codings = st.sampled_from(sorted(PACK))


def decode(coding: str, data: bytes, size: int = PIECE, limits: BodyLimits = LIMITS) -> bytes | str:
    """The content, or the code of the refusal."""
    try:
        decoder = Decoder(coding, limits)
        found = [piece for n in range(0, len(data), size) for piece in decoder.feed(data[n : n + size])]
        decoder.end()
    except Problem as problem:
        return problem.code
    assert all(0 < len(piece) <= PIECE for piece in found)
    return b"".join(found)


@inputs(quick=100)
@given(codings, st.lists(st.binary(), min_size=1), st.integers(1, 100))
def test_what_was_packed_comes_out_however_it_is_cut(coding: str, parts: list[bytes], size: int) -> None:
    assert decode(coding, b"".join(map(PACK[coding], parts)), size) == b"".join(parts)


@inputs(quick=100)
@given(codings, st.binary(), st.integers(1, 100))
def test_any_bytes_are_content_or_a_problem(coding: str, data: bytes, size: int) -> None:
    assert isinstance(decode(coding, data, size), bytes) or decode(coding, data, size) == "malformed_body"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@inputs(quick=100)
@given(data=st.binary(min_size=1), cut=st.integers(1, 1000))
def test_a_body_that_ends_too_soon_is_refused(coding: str, data: bytes, cut: int) -> None:
    packed = PACK[coding](data)
    assert decode(coding, packed[: -min(cut, len(packed))]) == "malformed_body"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_bomb_is_refused_before_it_has_unpacked(coding: str) -> None:
    bomb = PACK[coding](bytes(256 << 20))
    decoder = Decoder(coding, BodyLimits(1 << 30, 100))
    unpacked = 0

    def unpack() -> None:
        nonlocal unpacked
        for piece in decoder.feed(bomb[:PIECE]):
            unpacked += len(piece)

    with pytest.raises(Problem, match="times its size"):
        unpack()
    assert unpacked <= max(RATIO_FREE, 100 * min(len(bomb), PIECE)) + PIECE
    assert decode(coding, bomb) == "too_large"


def test_the_caps_hold_for_every_coding() -> None:
    small = BodyLimits(1000, 1_000_000)
    for coding, pack in PACK.items():
        assert decode(coding, pack(bytes(1000)), limits=small) == bytes(1000)
        assert decode(coding, pack(bytes(1001)), limits=small) == "too_large"
    assert decode("gzip", gzip.compress(b"") * (MEMBERS + 1)) == "malformed_body"
    assert decode("br", b"") == decode("gzip, zstd", b"") == "unsupported_media_type"
    assert decode("gzip", zlib.compress(b"no header of gzip")) == "malformed_body"


def test_a_window_greater_than_the_web_allows_is_refused() -> None:
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 24, zstd.CompressionParameter.content_size_flag: 0}
    packer = zstd.ZstdCompressor(options=options)
    data = packer.compress(bytes(range(256)) * (1 << 16)) + packer.flush()
    assert decode("zstd", data, limits=BodyLimits(64 << 20, 1 << 20)) == "malformed_body"
