"""What all tests share: in CI (`--no-skips`) a skipped test is a failed one."""

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""A machine that is busy with something else makes no test fail."""

NO_PROGRAM_HELPS = ("the recordings are not beside this tree", "this user may not make a network namespace")
"""Reasons that stand in CI too: recordings under a licence that keeps them out of this tree, and what a container's
kernel forbids."""

LONGEST = (
    "test_innocent_hour.py", "test_raids.py", "test_innocent_sky.py", "test_commands.py", "test_accuracy.py",
    "test_study_run.py", "test_cap_scenarios.py", "test_access.py", "test_serve.py",
)  # fmt: skip
"""Files that take longest, begun first: a file's tests share what it sets up, so each file is run by one process."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="count a skipped test as failed (for CI)")


def _refuse_skip(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and config.getoption("--no-skips"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if any(allowed in str(reason) for allowed in NO_PROGRAM_HELPS):
            return
        report.outcome = "failed"
        report.longrepr = f"skipped, which --no-skips does not allow: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    _refuse_skip(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    report = yield
    _refuse_skip(collector.config, report)
    return report
