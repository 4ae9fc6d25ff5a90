"""A believable estate from a seed: hubs of several models, six regions, twelve Suppliers, many pairs of them."""

import random
from dataclasses import dataclass

from chfw_common.kernel.ids import HubId, PartyId, UserId, hub_eui64, parse_hub_id
from chfw_common.kernel.roles import Role

REGIONS = (("North", 30), ("Central", 25), ("South", 25), ("4G North", 6), ("4G Central", 7), ("4G South", 7))
MANUFACTURER = "106C"
MODEL, HARDWARE = "433100AC", "00AC"
OTHER_MODEL, OTHER_HARDWARE = "433200AD", "00AD"
OLD_FIRMWARE, OLDER_FIRMWARE, NEW_FIRMWARE = "01020304", "01020303", "01020400"
ANCIENT_FIRMWARE = "01010000"
"""Not among the allowed predecessors of the release."""
GBCS, OLD_GBCS = "4.1", "3.2"
SUPPLIERS = tuple(f"SUP{number:02}" for number in range(1, 13))
LARGE = SUPPLIERS[:2]
HUB_PREFIXES = (0x00DB_1234, 0x90B3_D51F)
"""The second has its top bit set: ids are unsigned, and somebody has to notice."""


@dataclass(frozen=True, slots=True)
class EstateHub:
    """One hub as it is when the story begins."""

    hub: HubId
    gpf: HubId
    region: str
    model: str
    hardware: str
    firmware: str
    status: str
    gbcs: str
    device_type: str
    import_party: PartyId
    gas_party: PartyId

    @property
    def parties(self) -> tuple[PartyId, ...]:
        """The distinct Parties that answer for it."""
        return (self.import_party,) if self.import_party == self.gas_party else (self.import_party, self.gas_party)


@dataclass(frozen=True, slots=True)
class Estate:
    """All hubs of a seed, in the order they were drawn."""

    seed: int
    hubs: tuple[EstateHub, ...]


def user_id(party: PartyId, role: Role) -> UserId:
    """A Party has one User ID per role (DUIS)."""
    number = 0x90B3_D51F_0000_0000 + int(party[3:]) * 0x1_0000 + (1 if role is Role.IMPORT_SUPPLIER else 2)
    return UserId(hub_eui64(HubId(number - (1 << 64))))


def draw_estate(seed: int, size: int) -> Estate:
    """The estate of a seed: the same hubs, in the same order, every time."""
    draw = random.Random(f"estate {seed}")
    seen: set[int] = set()
    regions = [name for name, _ in REGIONS]
    weights = [weight for _, weight in REGIONS]
    hubs: list[EstateHub] = []
    while len(hubs) < size:
        low = draw.getrandbits(31) * 2
        if low in seen:
            continue
        seen.add(low)
        prefix = HUB_PREFIXES[draw.random() < 0.25]
        hub, gpf = (parse_hub_id(f"{prefix:08x}{number:08x}") for number in (low, low + 1))
        import_party, gas_party = _parties(draw)
        hubs.append(
            EstateHub(
                hub,
                gpf,
                draw.choices(regions, weights)[0],
                *_build(draw),
                import_party=import_party,
                gas_party=gas_party,
            )
        )
    return Estate(seed, tuple(hubs))


def _build(draw: random.Random) -> tuple[str, str, str, str, str, str]:
    """Model, hardware, firmware, SMI status, GBCS version, device type: most fit the release, some do not."""
    fate = draw.random()
    if fate < 0.01:
        return OTHER_MODEL, OTHER_HARDWARE, OLD_FIRMWARE, "Commissioned", GBCS, "CHF"
    if fate < 0.02:
        status = draw.choice(("InstalledNotCommissioned", "Decommissioned"))
        return MODEL, HARDWARE, OLD_FIRMWARE, status, GBCS, "CHF"
    if fate < 0.03:
        return MODEL, HARDWARE, NEW_FIRMWARE, "Commissioned", GBCS, "CHF"
    if fate < 0.035:
        return MODEL, HARDWARE, ANCIENT_FIRMWARE, "Commissioned", GBCS, "CHF"
    if fate < 0.04:
        return MODEL, HARDWARE, OLD_FIRMWARE, "Commissioned", OLD_GBCS, "CHF"
    if fate < 0.042:
        return MODEL, HARDWARE, OLD_FIRMWARE, "Commissioned", GBCS, "PPMID"
    firmware = OLDER_FIRMWARE if draw.random() < 0.1 else OLD_FIRMWARE
    return MODEL, HARDWARE, firmware, "Suspended" if draw.random() < 0.01 else "Commissioned", GBCS, "CHF"


def _parties(draw: random.Random) -> tuple[PartyId, PartyId]:
    """Import and Gas Supplier. The first large one is Import, the second Gas Supplier of more than half of all hubs,
    of a third both, so that each can instruct half the estate in one request under one User ID."""
    first, second = (PartyId(name) for name in LARGE)
    small = [PartyId(name) for name in SUPPLIERS[2:]]
    pick = draw.random()
    if pick < 0.345:
        return first, second
    if pick < 0.445:
        return first, first
    if pick < 0.55:
        return first, draw.choice(small)
    if pick < 0.65:
        return second, second
    if pick < 0.755:
        return draw.choice(small), second
    if pick < 0.88:
        one = draw.choice(small)
        return one, one
    return draw.choice(small), draw.choice(small)
