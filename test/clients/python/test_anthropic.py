"""Anthropic's client for Python."""

import anthropic
import pytest
from conftest import ADA, HELLO, OSLO, THOUGHT, WEATHER, Family, calls_of
from pydantic import BaseModel

TOOLS = [{"name": "get_weather", "description": "The weather of a city", "input_schema": WEATHER}]


class Person(BaseModel):
    name: str
    age: int


def client_of(family: Family, **options) -> anthropic.Anthropic:
    return anthropic.Anthropic(**{"base_url": family.url, "api_key": family.key, "max_retries": 0, **options})


def asking(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def inputs_of(message) -> list[dict]:
    return [block.input for block in message.content if block.type == "tool_use"]


def test_a_message_whole_and_as_a_stream(family):
    client = client_of(family)
    message = client.messages.create(model=family.name, max_tokens=200, messages=asking("Say hello."))
    assert [block.text for block in message.content] == [HELLO]
    assert message.stop_reason == "end_turn"
    with client.messages.stream(model=family.name, max_tokens=200, messages=asking("Say hello.")) as stream:
        assert "".join(stream.text_stream) == HELLO
        assert stream.get_final_message().usage.output_tokens == message.usage.output_tokens


def test_a_tool_and_its_result(family):
    client = client_of(family)
    messages = asking("What is the weather in Oslo and in Bergen?")
    with client.messages.stream(model=family.name, max_tokens=400, messages=messages, tools=TOOLS) as stream:
        first = stream.get_final_message()
    assert inputs_of(first) == calls_of(family)
    assert first.stop_reason == "tool_use"
    if len(calls_of(family)) > 1 and not family.parallel:
        return  # The template of this family takes one call back.
    uses = [block for block in first.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": "Cold."} for use in uses]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = client.messages.create(model=family.name, max_tokens=200, messages=messages, tools=TOOLS)
    assert second.content[0].text.startswith("I was told: ")
    assert second.usage.cache_read_input_tokens >= 64


def test_a_tool_that_must_be_used_and_a_schema(family):
    client = client_of(family)
    choice = {"type": "tool", "name": "get_weather"}
    forced = client.messages.create(
        model=family.name, max_tokens=200, messages=asking("What is the weather in Oslo?"), tools=TOOLS, tool_choice=choice
    )
    assert inputs_of(forced) == [OSLO]
    parsed = client.messages.parse(model=family.name, max_tokens=200, messages=asking("Who is Ada?"), output_format=Person)
    assert parsed.parsed_output == Person(**ADA)


def test_thinking_before_the_text(thinker):
    messages = asking("Think first.")
    message = client_of(thinker).messages.create(
        model=thinker.name, max_tokens=2000, messages=messages, thinking={"type": "enabled", "budget_tokens": 1024}
    )
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking == THOUGHT


def test_tokens_are_counted_as_the_message_has_them(family):
    client = client_of(family)
    request = {"model": family.name, "system": "Be brief.", "messages": asking("Say hello."), "tools": TOOLS}
    counted = client.messages.count_tokens(**request).input_tokens
    usage = client.messages.create(max_tokens=200, **request).usage
    assert counted == usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens


@pytest.mark.parametrize(
    ("error", "body", "options"),
    [
        (anthropic.BadRequestError, {"extra_body": {"container": "x"}}, {}),
        (anthropic.AuthenticationError, {}, {"api_key": "wrong"}),
        (anthropic.NotFoundError, {"model": "another"}, {}),
        (anthropic.RateLimitError, {"messages": asking("Be busy.")}, {}),
    ],
)
def test_errors_are_the_clients_own(one, error, body, options):
    with pytest.raises(error):
        client_of(one, **options).messages.create(
            **{"model": one.name, "max_tokens": 20, "messages": asking("Say hello."), **body}
        )
