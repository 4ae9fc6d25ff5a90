"""Releases as everybody sees them: a notice has no secrets."""

from typing import Any

from chfw_common.kernel.instants import Instant, format_instant
from chfw_common.kernel.months import cut_off
from chfw_common.runtime.http.waves import show_waves
from chfw_notifier.store.releases import Release


def notice_document(release: Release, now: Instant) -> dict[str, Any]:
    """The notice, with what is decided at present; `automatic_date`, `waves` and `cut_off` are those in force.

    What is of one Party alone, its places in the pilot, is not in it.
    """
    notice = release.notice
    document = notice.model_dump(mode="json", exclude={"pilot_places"})
    last = cut_off(release.automatic_date)
    document.update(
        notified_at=format_instant(notice.notified_at),
        pilot_opens=format_instant(notice.pilot_opens),
        pilot_closes=format_instant(notice.pilot_closes),
        first_automatic_date=format_instant(notice.automatic_date),
        automatic_date=format_instant(release.automatic_date),
        waves=show_waves(release.waves),
        cut_off=format_instant(last),
        instruction_possible=release.takes_instructions and now <= last,
        mode=release.mode.value,
        epoch=release.epoch,
    )
    return document
