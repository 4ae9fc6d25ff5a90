"""A pytest plugin for `make test`: a skipped test is a failed test.

A test that needs a server starts it or fails; "skipped, no server here" would be green where nothing was proved.
"""

from collections.abc import Generator

import pytest

_WORD = "skipped, and `make test` lets nothing be skipped: "


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = _WORD + str(report.longrepr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test into a failure; an expected failure stays one."""
    report = yield
    _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module into a failure."""
    report = yield
    _fail(report)
    return report
