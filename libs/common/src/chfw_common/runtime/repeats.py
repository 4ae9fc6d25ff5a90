"""Log lines of things that fail again and again: the first at once, then one at growing intervals with the count."""

import logging
from dataclasses import dataclass

import structlog

from chfw_common.runtime.clock import stopwatch

log = structlog.get_logger()

AGAIN, AT_MOST = 5.0, 600.0
"""Seconds from the first line to the second, and between two lines at most; each interval is twice the one before."""


@dataclass(slots=True)
class Growing:
    """Says of each occurrence of one thing whether a line is due for it."""

    count: int = 0
    began: float = 0.0
    last: float = 0.0
    _pause: float = AGAIN
    _due: float = 0.0

    def occurs(self, now: float, *, changed: bool = False) -> bool:
        """Count an occurrence at `now` (seconds); True when a line is due. What has `changed` is due sooner."""
        self.count += 1
        self.last = now
        if self.count == 1:
            self.began, self._due = now, now + self._pause
            return True
        if now < (self._due - self._pause + AGAIN if changed else self._due):
            return False
        self._pause = min(self._pause * 2, AT_MOST)
        self._due = now + self._pause
        return True


class Repeated:
    """What a waiting loop says: that it waits, now and then that it still does, and that it goes on."""

    def __init__(self) -> None:
        self._growing: dict[str, Growing] = {}
        self._errors: dict[str, str] = {}

    def failed(self, event: str, *, action: str, error: object, **what: object) -> None:
        """Something failed, as it may have before: `times` says how often since the wait began."""
        text = str(error) or repr(error)
        growing = self._growing.setdefault(action, Growing())
        if growing.occurs(stopwatch(), changed=self._errors.get(action) != text):
            self._errors[action] = text
            log.warning(event, action=action, error=text, times=growing.count, **what)

    def over(self, **what: object) -> None:
        """It works again: one line for each wait that there was."""
        if not self._growing:
            return
        now = stopwatch()
        for action, growing in self._growing.items():
            log.info(
                "what failed works again", action=f"{action}_over", times=growing.count,
                seconds=round(now - growing.began, 1), **what,
            )  # fmt: skip
        self._growing.clear()
        self._errors.clear()


class RepeatFilter(logging.Filter):
    """For the loggers of libraries: of lines made from one text, the first and then one at growing intervals.

    A text that was not written for `AT_MOST` seconds is new again.
    """

    LIMIT = 1_000
    """Texts that are counted: most stand in the libraries' code, some are made."""

    def __init__(self) -> None:
        super().__init__()
        self._growing: dict[tuple[str, str], Growing] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is to be written; one that stands for several says for how many."""
        key, now = (record.name, str(record.msg)), stopwatch()
        growing = self._growing.get(key)
        if len(self._growing) > self.LIMIT:
            self._growing.clear()
        if growing is None or now - growing.last > AT_MOST:
            growing = self._growing[key] = Growing()
        due = growing.occurs(now)
        if due and growing.count > 1:
            record.msg, record.args = f"{record.getMessage()} ({growing.count} times)", ()
        return due
