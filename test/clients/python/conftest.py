"""What the tests of Python clients share: the scripted servers, and what their models say."""

import json
import os
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Family:
    name: str
    url: str
    key: str
    format: str
    parallel: bool
    reasons: bool


FAMILIES = [Family(name=name, **told) for name, told in json.loads(os.environ.get("CLIENTS_FAMILIES", "{}")).items()]

HELLO = "Hello from the model: naïve, 東京, 🏳️‍🌈."
OSLO = {"city": "Oslo", "days": 2}
BERGEN = {"city": "Bergen", "days": 1, "hours": [6, 12.5], "why": 'a "walk"'}
ADA = {"name": "Ada", "age": 36}
THOUGHT = "Let me think.\nTwo and two are four."

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "Name of the city"},
        "days": {"type": "integer"},
        "hours": {"type": "array", "items": {"type": "number"}},
        "why": {"type": "string"},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}


def calls_of(family: Family) -> list[dict]:
    """An answer in harmony has one call."""
    return [OSLO] if family.format == "harmony" else [OSLO, BERGEN]


def by_name(family: Family) -> str:
    return family.name


def pytest_generate_tests(metafunc):
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", FAMILIES, ids=by_name)
    if "thinker" in metafunc.fixturenames:
        metafunc.parametrize("thinker", [family for family in FAMILIES if family.reasons], ids=by_name)


@pytest.fixture
def one() -> Family:
    """For what does not depend on the family."""
    return FAMILIES[0]
