"""What fails again and again is said rarely, with a count, and that it is over."""

import logging

import pytest
from structlog.testing import capture_logs

from chfw_common.runtime import repeats
from chfw_common.runtime.repeats import Repeated, RepeatFilter


class Stopwatch:
    """A stopwatch that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    made = Stopwatch()
    monkeypatch.setattr(repeats, "stopwatch", made)
    return made


def test_an_hour_of_failures_is_a_dozen_lines_and_one_that_it_is_over(stopwatch: Stopwatch) -> None:
    waits = Repeated()
    with capture_logs() as lines:
        for _ in range(3_600):
            waits.failed("it waits", action="waits", error="away")
            stopwatch.now += 1.0
        waits.over(server="s")
        waits.over(server="s")
    said = [line["times"] for line in lines if line["action"] == "waits"]
    assert said == [1, 6, 16, 36, 76, 156, 316, 636, 1236, 1836, 2436, 3036]
    assert lines[-1] == {
        "event": "what failed works again", "log_level": "info", "action": "waits_over", "times": 3600,
        "seconds": 3600.0, "server": "s",
    }  # fmt: skip
    assert [line["action"] for line in lines].count("waits_over") == 1


def test_another_error_is_said_sooner_and_another_wait_begins_anew(stopwatch: Stopwatch) -> None:
    waits = Repeated()
    with capture_logs() as lines:
        for _ in range(300):
            waits.failed("it waits", action="waits", error="away")
            stopwatch.now += 1.0
        before = len(lines)
        waits.failed("it waits", action="waits", error="no such database")
        waits.over()
        waits.failed("it waits", action="waits", error="away")
    assert lines[before]["error"] == "no such database"
    assert lines[-1]["times"] == 1


def test_an_error_without_a_text_is_named() -> None:
    with capture_logs() as lines:
        Repeated().failed("it waits", action="waits", error=TimeoutError())
    assert lines[0]["error"] == "TimeoutError()"


def test_lines_of_libraries_are_counted_by_their_text(stopwatch: Stopwatch) -> None:
    filters, written = RepeatFilter(), []
    for n in range(60):
        record = logging.LogRecord("aiokafka.client", logging.ERROR, "f", 1, "Unable connect to %s", (n,), None)
        if filters.filter(record):
            written.append(record.getMessage())
        stopwatch.now += 1.0
    assert written == [
        "Unable connect to 0", "Unable connect to 5 (6 times)", "Unable connect to 15 (16 times)",
        "Unable connect to 35 (36 times)",
    ]  # fmt: skip
    other = logging.LogRecord("aiokafka.client", logging.ERROR, "f", 1, "another", (), None)
    assert filters.filter(other)
