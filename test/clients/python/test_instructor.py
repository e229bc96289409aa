"""instructor: a model of pydantic as the answer, in each of its modes that a server has to take part in."""

import anthropic
import instructor
import pytest
from conftest import ADA
from instructor.core import InstructorRetryException
from openai import OpenAI
from pydantic import BaseModel

# Each mode, and what is asked: in Markdown the model writes its JSON inside of a text.
MODES = {
    instructor.Mode.TOOLS: "Who is Ada?",
    instructor.Mode.TOOLS_STRICT: "Who is Ada?",
    instructor.Mode.JSON: "Who is Ada?",
    instructor.Mode.JSON_SCHEMA: "Who is Ada?",
    instructor.Mode.MD_JSON: "Say it as Markdown: who is Ada?",
}


class Person(BaseModel):
    name: str
    age: int


class Weather(BaseModel):
    city: str
    days: int


def client_of(family, mode):
    return instructor.from_openai(OpenAI(base_url=f"{family.url}/v1", api_key=family.key, max_retries=0), mode=mode)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_a_person_in_every_mode(family, mode):
    messages = [{"role": "user", "content": MODES[mode]}]
    person = client_of(family, mode).chat.completions.create(
        model=family.name, response_model=Person, messages=messages, max_retries=0
    )
    assert person.model_dump() == ADA


@pytest.mark.parametrize("mode", [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA], ids=lambda mode: mode.value)
def test_a_person_piece_by_piece(thinker, mode):
    messages = [{"role": "user", "content": "Who is Ada?"}]
    parts = list(
        client_of(thinker, mode).chat.completions.create_partial(
            model=thinker.name, response_model=Person, messages=messages, max_retries=0
        )
    )
    assert parts[-1].model_dump() == ADA
    assert len(parts) > 2


def test_an_answer_that_does_not_fit_the_model_is_asked_for_again_and_then_told(one):
    messages = [{"role": "user", "content": "Who is Ada?"}]
    with pytest.raises(InstructorRetryException) as raised:
        client_of(one, instructor.Mode.JSON).chat.completions.create(
            model=one.name, response_model=Weather, messages=messages, max_retries=1
        )
    assert raised.value.n_attempts == 2


def test_a_person_by_messages_of_anthropic(family):
    client = instructor.from_anthropic(
        anthropic.Anthropic(base_url=family.url, api_key=family.key, max_retries=0), mode=instructor.Mode.ANTHROPIC_TOOLS
    )
    person = client.messages.create(
        model=family.name, max_tokens=300, response_model=Person, messages=[{"role": "user", "content": "Who is Ada?"}], max_retries=0
    )
    assert person.model_dump() == ADA
