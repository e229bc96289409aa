"""The lines by which the runner of all suites counts these tests."""

import pytest
import tap

pytest_plugins = ["pytester"]

SOURCE = """
import pytest

def test_passes():
    pass

@pytest.mark.parametrize("name", ["a", "b"])
def test_fails(name):
    assert name == "a"

def test_is_skipped():
    pytest.skip("it needs a thing")

def test_is_not_served():
    pytest.xfail("by design")

@pytest.fixture
def broken():
    raise RuntimeError("no fixture")

def test_is_never_called(broken):
    pass
"""


@pytest.mark.parametrize("required", [False, True])
def test_every_test_has_one_line_and_a_required_skip_fails(pytester, monkeypatch, required):
    monkeypatch.setattr(tap, "REQUIRED", required)
    pytester.makepyfile(test_it=SOURCE)
    result = pytester.runpytest_inprocess("-q", "--no-header", "--no-summary", "-p", "tap")
    lines = [line for line in result.outlines if line.startswith(("ok ", "not ok "))]
    skip = "not ok 4 - test_it.py::test_is_skipped (it needs a thing)"
    assert lines == [
        "ok 1 - test_it.py::test_passes",
        "ok 2 - test_it.py::test_fails[a]",
        "not ok 3 - test_it.py::test_fails[b]",
        skip if required else f"{skip.removeprefix('not ')} # SKIP",
        "ok 5 - test_it.py::test_is_not_served (by design) # SKIP",
        "not ok 6 - test_it.py::test_is_never_called",
    ]
    assert result.ret == 1


def test_what_is_not_served_is_no_missing_requirement(pytester, monkeypatch):
    monkeypatch.setattr(tap, "REQUIRED", True)
    pytester.makepyfile(test_it='import pytest\n\ndef test_is_not_served():\n    pytest.xfail("by design")\n')
    assert pytester.runpytest_inprocess("-q", "-p", "tap").ret == 0
