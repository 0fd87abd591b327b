"""A pytest plugin for CI, where every tool is installed: a skipped test fails the run.

`pytest -p tests.support.no_skip`. Only what needs an account may be skipped; such reasons
start with "no account".
"""

from __future__ import annotations

import pytest

ALLOWED = "Skipped: no account"


class NoSkip:
    def __init__(self) -> None:
        self.skipped: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._keep(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._keep(report)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.skipped and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.skipped:
            terminalreporter.section("skipped, which is a failure here", red=True)
            for name, reason in self.skipped.items():
                terminalreporter.line(f"{name}: {reason}")

    def _keep(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        # An expected failure is reported as skipped, too, but it did run.
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        if not reason.startswith(ALLOWED):
            self.skipped[report.nodeid] = reason


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(NoSkip(), "no-skip")
