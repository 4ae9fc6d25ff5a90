"""Whether an image may be applied to a hub: one rule, used at intake, at enrolment and at every claim.

The order of the rows is that of the verdict table (REQUIREMENTS, "Verdict of one entry of an instruction"). Versions
are those of a model, so a hub of another model that shows the same version text is `model_not_applicable`.
"""

from dataclasses import dataclass
from enum import StrEnum

from chfw_common.kernel.codes import code, codes
from chfw_common.kernel.hubs import UPGRADEABLE_STATUSES, DeviceStatus, DeviceType, HubRecord, Make


class Inapplicable(StrEnum):
    """Why an image may not be applied; the values are verdicts."""

    NOT_A_HUB = "not_a_hub"
    NOT_COMMISSIONED = "not_commissioned"
    ALREADY_AT_VERSION = "already_at_version"
    MODEL_NOT_APPLICABLE = "model_not_applicable"
    NOT_UPGRADEABLE = "not_upgradeable"
    GBCS_INCOMPATIBLE = "gbcs_incompatible"


@dataclass(frozen=True, slots=True)
class Image:
    """The Central Products List entry of a release: the model and hardware it fits and what it may replace.

    An empty set of predecessors or GBCS versions allows any. Codes are kept as they are compared.
    """

    manufacturer: str
    model: str
    hardware: frozenset[str]
    firmware: str
    predecessors: frozenset[str]
    gbcs_versions: frozenset[str]

    def __post_init__(self) -> None:
        """Spell every code in the one way."""
        for name in ("manufacturer", "model", "firmware"):
            object.__setattr__(self, name, code(getattr(self, name)))
        for name in ("hardware", "predecessors"):
            object.__setattr__(self, name, codes(getattr(self, name)))

    def is_for(self, make: Make) -> bool:
        """Whether it is an image for the model and the hardware of a hub."""
        model = (code(make.manufacturer), code(make.model))
        return model == (self.manufacturer, self.model) and code(make.hardware) in self.hardware


def inapplicable(image: Image, hub: HubRecord) -> Inapplicable | None:
    """The first reason against applying the image to the hub, or None when it may be applied."""
    return misfit(image, hub.make, hub.status, hub.firmware)


def misfit(image: Image, make: Make, status: DeviceStatus, firmware: str) -> Inapplicable | None:
    """The same for what is compared of a hub: what it is, its SMI status, and the version it runs."""
    if make.device_type is not DeviceType.CHF:
        return Inapplicable.NOT_A_HUB
    if status not in UPGRADEABLE_STATUSES:
        return Inapplicable.NOT_COMMISSIONED
    if not image.is_for(make):
        return Inapplicable.MODEL_NOT_APPLICABLE
    runs = code(firmware)
    if runs == image.firmware:
        return Inapplicable.ALREADY_AT_VERSION
    if image.predecessors and runs not in image.predecessors:
        return Inapplicable.NOT_UPGRADEABLE
    if image.gbcs_versions and make.gbcs not in image.gbcs_versions:
        return Inapplicable.GBCS_INCOMPATIBLE
    return None
