"""The spellings of a hub id, and where a key belongs."""

import pytest
from aiokafka.partitioner import murmur2 as theirs
from hypothesis import given
from hypothesis import strategies as st

from chfw_common.kernel.ids import HubId, InvalidIdError, hub_eui64, hub_hex, hub_key, parse_hub_id
from chfw_common.kernel.murmur2 import murmur2
from chfw_common.topology import HUB_PARTITIONS, partition_of_hub, partition_of_key

signed = st.integers(min_value=-(2**63), max_value=2**63 - 1).map(HubId)


@given(signed)
def test_every_spelling_reads_back(hub: HubId) -> None:
    for text in (hub_hex(hub), hub_eui64(hub), hub_eui64(hub).lower(), hub_hex(hub).upper()):
        assert parse_hub_id(text) == hub


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("00-00-00-00-00-00-00-00", 0),
        ("7F-FF-FF-FF-FF-FF-FF-FF", 2**63 - 1),
        ("80-00-00-00-00-00-00-00", -(2**63)),
        ("ffffffffffffffff", -1),
        ("00db123456789012", 0x00DB123456789012),
    ],
)
def test_the_number_has_the_same_bits(text: str, number: int) -> None:
    assert parse_hub_id(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("", "00db12345678901", "00db1234567890123", "00-db-12-34-56-78-90-12-", "00:db:12:34:56:78:90:12", "g" * 16),
        *(" 00db123456789012", "00db123456789012\n", "00-db12-34-56-78-90-12", "\u0660\u0660db123456789012"),
        *("0x12345678901234", "0012_34567890123", "+00db12345678901"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdError):
        parse_hub_id(text)


def test_the_key_is_the_spelling_of_events() -> None:
    assert hub_key(HubId(-1)) == b"ffffffffffffffff"


@given(st.binary(max_size=70))
def test_the_hash_is_kafkas(key: bytes) -> None:
    assert murmur2(key) == theirs(key) & 0xFFFFFFFF


def test_the_hash_is_kafkas_for_many_hubs() -> None:
    for n in range(20_000):
        key = hub_key(HubId(n * 7919 - 10**8))
        assert partition_of_key(key, 32) == (theirs(key) & 0x7FFFFFFF) % 32


@pytest.mark.parametrize(
    ("key", "hashed"),
    # From the tests of Apache Kafka (UtilsTest.testMurmur2).
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_the_java_client(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0xFFFFFFFF


def test_hubs_are_spread_over_all_partitions() -> None:
    found = [partition_of_hub(HubId(n)) for n in range(3_200)]
    assert set(found) == set(range(HUB_PARTITIONS))
    assert max(found.count(partition) for partition in range(HUB_PARTITIONS)) < 160
