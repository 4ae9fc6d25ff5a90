"""What the routes take and give."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from chfw_common.kernel.hubs import DeviceStatus, DeviceType
from chfw_common.kernel.ids import PartyId, UserId
from chfw_common.kernel.instants import Instant
from chfw_common.kernel.roles import Role
from chfw_common.runtime.http.ids import Eui64, HubText, InstantText, OptionalInstant
from chfw_common.runtime.http.shapes import AS_CODE, Shape, Words
from chfw_smi.domain.inventory import Claimed, FormerStatus, Line, Loaded, SupplierChange

MOST = 5_000

Text = Annotated[str, Words(60)]
Code = Annotated[str, Words(60), AS_CODE]
SupplierRole = Literal[Role.IMPORT_SUPPLIER, Role.GAS_SUPPLIER]


class ResponsibleBody(Shape):
    """A Party that answers for a hub. Without `since`: the known start, else now."""

    party: Text
    user_id: Text
    role: SupplierRole
    since: OptionalInstant = None

    def claim(self) -> Claimed:
        """The same, as the inventory thinks of it."""
        return Claimed(self.role, PartyId(self.party), UserId(self.user_id), self.since)


class HubBody(Shape):
    """A full record of a hub."""

    hub: HubText
    gpf: HubText | None = None
    device_type: DeviceType = DeviceType.CHF
    status: DeviceStatus = DeviceStatus.COMMISSIONED
    status_since: OptionalInstant = None
    manufacturer: Code
    model: Code
    hardware: Code
    firmware: Code
    gbcs: Text
    region: Text
    responsible: tuple[ResponsibleBody, ...] = ()

    @model_validator(mode="after")
    def _one_party_per_role(self) -> "HubBody":
        roles = [entry.role for entry in self.responsible]
        if len(roles) != len(set(roles)):
            raise ValueError("one Party per role")
        return self

    def loaded(self) -> Loaded:
        """The same, as the inventory thinks of it."""
        return Loaded(
            hub=self.hub,
            gpf=self.gpf,
            device_type=self.device_type,
            status=self.status,
            status_since=self.status_since,
            manufacturer=self.manufacturer,
            model=self.model,
            hardware=self.hardware,
            firmware=self.firmware,
            gbcs=self.gbcs,
            region=self.region,
            responsible=tuple(entry.claim() for entry in self.responsible),
        )


class LoadBody(Shape):
    """A load."""

    hubs: Annotated[tuple[HubBody, ...], Field(min_length=1, max_length=MOST)]

    @model_validator(mode="after")
    def _each_once(self) -> "LoadBody":
        if len({entry.hub for entry in self.hubs}) != len(self.hubs):
            raise ValueError("a hub is named twice")
        gpfs = [entry.gpf for entry in self.hubs if entry.gpf is not None]
        if len(set(gpfs)) != len(gpfs):
            raise ValueError("a GPF is named twice")
        return self


class LoadedBody(Shape):
    """What a load did, counted in hubs."""

    new: int
    changed: int
    unchanged: int


class ChangeBody(Shape):
    """One change of Supplier; without a Party the role is empty from now on."""

    hub: HubText
    role: SupplierRole
    party: Text | None = None
    user_id: Text | None = None
    since: OptionalInstant = None

    @model_validator(mode="after")
    def _whole(self) -> "ChangeBody":
        if (self.party is None) != (self.user_id is None):
            raise ValueError("party and user_id belong together")
        if self.party is None and self.since is not None:
            raise ValueError("since says from when a Party answers: leave it out when the role becomes empty")
        return self

    def change(self) -> SupplierChange:
        """The same, as the inventory thinks of it."""
        if self.party is None or self.user_id is None:
            return SupplierChange(self.hub, self.role, None)
        return SupplierChange(
            self.hub, self.role, Claimed(self.role, PartyId(self.party), UserId(self.user_id), self.since)
        )


class ChangesBody(Shape):
    """Changes of Supplier."""

    changes: Annotated[tuple[ChangeBody, ...], Field(min_length=1, max_length=MOST)]


class ChangedBody(Shape):
    """What the changes did, counted in hubs."""

    changed: int
    unchanged: int
    unknown: tuple[Eui64, ...]


class FormerStatusView(Shape):
    """A status that applied once."""

    status: DeviceStatus
    since: InstantText
    until: InstantText


def times_in(body: LoadBody | ChangesBody) -> Iterator[tuple[tuple[str | int, ...], Instant]]:
    """Every time that a body states, and where."""
    if isinstance(body, ChangesBody):
        stated = ((("changes", n, "since"), entry.since) for n, entry in enumerate(body.changes))
        yield from ((place, at) for place, at in stated if at is not None)
        return
    for n, entry in enumerate(body.hubs):
        if entry.status_since is not None:
            yield ("hubs", n, "status_since"), entry.status_since
        for m, one in enumerate(entry.responsible):
            if one.since is not None:
                yield ("hubs", n, "responsible", m, "since"), one.since


class HubView(Shape):
    """What a caller may see of a hub. `smi_version` is the DCC's alone: it would count what another Supplier does.

    So are the former statuses, which may be older than a Supplier's responsibility.
    """

    hub: Eui64
    device_type: DeviceType
    status: DeviceStatus
    status_since: InstantText
    manufacturer: str
    model: str
    hardware: str
    firmware: str
    gbcs: str
    region: str
    responsible: tuple[ResponsibleBody, ...]
    second_supplier: bool
    gpf: Eui64 | None = None
    smi_version: int | None = None
    former_statuses: tuple[FormerStatusView, ...] | None = None


def view_for_dcc(line: Line, former: Sequence[FormerStatus] = ()) -> HubView:
    """All there is."""
    statuses = tuple(FormerStatusView(status=entry.status, since=entry.since, until=entry.until) for entry in former)
    return _view(line, None, None).model_copy(update={"former_statuses": statuses})


def view_for_supplier(line: Line, party: PartyId, user_id: UserId) -> HubView:
    """The hub as one of its Suppliers may see it (R3-4: that another exists, never who)."""
    return _view(line, party, user_id)


def _view(line: Line, party: PartyId | None, user_id: UserId | None) -> HubView:
    record = line.record
    whole = party is None
    return HubView(
        hub=record.hub,
        device_type=record.device_type,
        status=record.status,
        status_since=line.status_since,
        manufacturer=record.manufacturer,
        model=record.model,
        hardware=record.hardware,
        firmware=record.firmware,
        gbcs=record.gbcs,
        region=record.region,
        responsible=tuple(
            ResponsibleBody.model_validate(
                {"party": entry.party, "user_id": entry.user_id, "role": entry.role, "since": entry.since}
            )
            for entry in record.responsible
            if whole or (entry.party, entry.user_id) == (party, user_id)
        ),
        second_supplier=len({entry.party for entry in record.responsible}) > 1,
        gpf=line.gpf if whole else None,
        smi_version=record.smi_version if whole else None,
    )
