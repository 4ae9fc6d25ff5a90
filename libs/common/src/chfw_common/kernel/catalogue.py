"""What every verdict and every reason means, and what to do about it: one line each.

The documents of the routes and the pages of `docs` are made from these tables.
"""

from collections.abc import Mapping

VERDICTS: Mapping[str, str] = {
    "malformed_id": "The entry is not an EUI-64. Write eight hex pairs joined by hyphens, or 16 hex digits.",
    "duplicate_in_request": "An earlier entry of the same request names this hub, and that one counts.",
    "unknown_hub": "The inventory has no hub of this id. Compare the id with the label; it is that of the CHF.",
    "not_responsible": "This User ID is no Supplier of the hub. Use the User ID that is, or leave the hub out.",
    "not_a_hub": "The id is that of another device. Name the CHF of the hub.",
    "not_commissioned": "The hub is neither Commissioned nor Suspended. Instruct it once it is.",
    "already_at_version": "The hub runs the version of the release. Nothing is left to do.",
    "model_not_applicable": "The release is for another manufacturer, model or hardware version. Leave the hub out.",
    "not_upgradeable": "The version that the hub runs is not among those that the release may replace.",
    "gbcs_incompatible": "The GBCS version of the hub is not among those that the release is for.",
    "other_request_in_progress": "Another release holds the hub. Instruct again once that one is final for it.",
    "finished": "The release is final for the hub, or its activation is under way. No answer changes that any more.",
    "after_cut_off": "The request came later than one month before the automatic date of the hub's group.",
    "time_not_before_date": "`activate_at` is not before the automatic date of the hub's group. State an earlier time.",
    "before_group_opens": "`activate_at` is before the hub's group opens. State a later time.",
    "pilot_closed": "The pilot had begun when its list came. Name the hub for safe launch.",
    "time_not_shown": "To agree is to repeat a time that was shown for the hub, and this one was not. Look again.",
    "pilot_full": "The Party has named as many hubs for the pilot as it may. Name the hub for safe launch.",
    "accepted": "The entry counts as the Party's answer for the hub.",
}
"""The verdict of an entry of a request, in the order in which they are looked for: the first that applies is given."""

CS06_REASONS: Mapping[int, str] = {1: "cs06_1", 2: "cs06_2", 3: "cs06_3"}
CS06_OTHER = "cs06_other"

REASONS: Mapping[str, str] = {
    "FileTransferFailure": "The transfer of the image to the hub broke off. It is tried again while tries are left.",
    "HardwareVersionMismatch": "The hub refused the image, because it is for another hardware version.",
    "FirmwareImageDiscarded": "The hub received the image and discarded it. It is tried again while tries are left.",
    "timed_out": "The hub did not report the image, and a read found the old version. The image is sent again.",
    "stale_epoch": "The CSP edge held a message back, because the DCC has decided anew since it was written.",
    "skewed": "The CSP edge held a message back, because it came from further ahead than clocks may differ.",
    "too_early": "The CSP edge held a message back, because its time had not come.",
    "permit_expired": "The CSP edge held a message back, because it came after the end of its permit. It is sent anew.",
    "not_future_dated": "The hub refused the CS06, because its time had passed when it came. It is sent anew.",
    "not_applied": "No alert came, and a read found the old version after the time of the activation.",
    "read": "No alert came, and a read found the new version.",
    "cs06_1": "The hub activated nothing, because it holds no image (noImageHeld). The image is sent again.",
    "cs06_2": "The hub activated nothing, because the hash of its image is another (hashMismatch).",
    "cs06_3": "The hub tried to activate the image and failed (activationFailure). It runs the old version.",
    CS06_OTHER: "The hub activated nothing, and gave an outcome that GBCS does not list.",
    "cancel_too_late": "The activation was called back too late: the hub had carried it out.",
    "too_late": "The answer came too late: an activation was under way, or the release was final for the hub.",
    "held": "The activation was called back, because the DCC holds the release.",
    "pilot": "The activation was called back, because the DCC moved the dates while the pilot runs.",
    "run": "The activation was called back, because the DCC moved the dates while the release runs.",
    "pause": "The activation was called back, because the DCC paused the release.",
    "stop": "The activation was called back, because the DCC stopped the release. That is final.",
    "revoked": "The activation was called back, because the DCC revoked the release. That is final.",
    "Decommissioned": "The hub was decommissioned and takes no part any more.",
    "Withdrawn": "The hub was withdrawn and takes no part any more.",
}
"""Why a hub stands where it does in a release. With the state `superseded` the reason is the version that it runs."""


def cs06_reason(outcome: int) -> str:
    """The reason that stands for an activateImageResponseCode other than success."""
    return CS06_REASONS.get(outcome, CS06_OTHER)
