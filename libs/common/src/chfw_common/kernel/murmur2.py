"""Kafka's own hash of a key. Every producer of Kafka's family puts a key where this says, so must we."""

from struct import unpack

_MULTIPLIER = 0x5BD1E995
_SEED = 0x9747B28C
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 of the data with Kafka's seed, as an unsigned number."""
    length = len(data)
    words = length >> 2
    mixed = _SEED ^ length
    for word in unpack(f"<{words}I", data[: words * 4]):
        word = word * _MULTIPLIER & _MASK
        word ^= word >> 24
        mixed = (mixed * _MULTIPLIER & _MASK) ^ (word * _MULTIPLIER & _MASK)
    rest = data[words * 4 :]
    if rest:
        mixed = (mixed ^ int.from_bytes(rest, "little")) * _MULTIPLIER & _MASK
    mixed ^= mixed >> 13
    mixed = mixed * _MULTIPLIER & _MASK
    return mixed ^ mixed >> 15
