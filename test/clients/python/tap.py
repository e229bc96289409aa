"""Writes results as TAP, so that the runner of all suites counts them."""

import os

import pytest

REQUIRED = "clients" in os.environ.get("REQUIRE", "").split(",")


class Tap:
    def __init__(self, write):
        self.write = write
        self.count = 0

    def add(self, report):
        """A test has one line: of its call, or of what kept it from being called."""
        name = report.nodeid
        if report.passed and report.when == "call":
            self.line("ok", name)
        elif hasattr(report, "wasxfail"):
            # What the server does not serve by design: no machine has it, so it is a skip wherever the test runs.
            reason = report.wasxfail.removeprefix("reason: ")
            self.line("ok", f"{name} ({reason}) # SKIP")
        elif report.skipped:
            # longrepr of a skip: file, line, reason.
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            reason = reason.removeprefix("Skipped: ")
            if REQUIRED:
                self.line("not ok", f"{name} ({reason})")
            else:
                self.line("ok", f"{name} ({reason}) # SKIP")
        elif report.failed:
            self.line("not ok", name)
            for line in report.longreprtext.splitlines():
                self.write(f"  {line}")

    def line(self, status, name):
        self.count += 1
        self.write(f"{status} {self.count} - {name}")


@pytest.hookimpl
def pytest_configure(config):
    terminal = config.pluginmanager.getplugin("terminalreporter")
    config.stash[TAP] = Tap(terminal.write_line if terminal else print)


TAP = pytest.StashKey[Tap]()


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report, config):
    """No dots between the lines."""
    if hasattr(report, "wasxfail"):
        return "xfailed", "", ""
    if report.when == "call" or report.outcome != "passed":
        return report.outcome, "", ""
    return "", "", ""


class Reports:
    def __init__(self, tap):
        self.tap = tap

    def pytest_runtest_logreport(self, report):
        self.tap.add(report)

    def pytest_collectreport(self, report):
        if report.failed:
            self.tap.add(report)


def pytest_sessionstart(session):
    session.config.pluginmanager.register(Reports(session.config.stash[TAP]))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """A skip that REQUIRE names is a failure of the run."""
    if REQUIRED and exitstatus == 0 and session.config.pluginmanager.getplugin("terminalreporter").stats.get("skipped"):
        session.exitstatus = 1
