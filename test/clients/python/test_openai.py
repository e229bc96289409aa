"""OpenAI's client for Python: chats and responses."""

import json

import openai
import pytest
from conftest import ADA, HELLO, OSLO, THOUGHT, WEATHER, Family, calls_of
from pydantic import BaseModel

TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather of a city", "parameters": WEATHER}}]


class Person(BaseModel):
    name: str
    age: int


def client_of(family: Family, **options) -> openai.OpenAI:
    return openai.OpenAI(**{"base_url": f"{family.url}/v1", "api_key": family.key, "max_retries": 0, **options})


def asking(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def arguments_of(message) -> list[dict]:
    return [json.loads(call.function.arguments) for call in message.tool_calls or []]


def test_an_answer_whole_and_as_a_stream(family):
    client = client_of(family)
    whole = client.chat.completions.create(model=family.name, messages=asking("Say hello."))
    assert whole.choices[0].message.content == HELLO
    assert whole.choices[0].finish_reason == "stop"
    with client.chat.completions.stream(model=family.name, messages=asking("Say hello.")) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
    assert text == HELLO == stream.get_final_completion().choices[0].message.content


def test_a_call_and_its_result(family):
    client = client_of(family)
    messages = asking("What is the weather in Oslo?")
    message = client.chat.completions.create(model=family.name, messages=messages, tools=TOOLS).choices[0].message
    assert arguments_of(message) == [OSLO]
    messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Cold."}]
    answer = client.chat.completions.create(model=family.name, messages=messages, tools=TOOLS)
    assert answer.choices[0].message.content.startswith("I was told: ")
    assert answer.usage.prompt_tokens_details.cached_tokens >= 64


def test_a_stream_of_calls(family):
    client = client_of(family)
    messages = asking("What is the weather in Oslo and in Bergen?")
    with client.chat.completions.stream(model=family.name, messages=messages, tools=TOOLS) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        message = stream.get_final_completion().choices[0].message
    assert [json.loads(event.arguments) for event in done] == calls_of(family)
    assert arguments_of(message) == calls_of(family)
    assert len({call.id for call in message.tool_calls}) == len(calls_of(family))


def test_a_forced_call_and_none(family):
    client = client_of(family)
    messages = asking("What is the weather in Oslo?")
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        answer = client.chat.completions.create(model=family.name, messages=messages, tools=TOOLS, tool_choice=choice)
        assert arguments_of(answer.choices[0].message) == [OSLO]
    answer = client.chat.completions.create(model=family.name, messages=asking("Say hello."), tools=TOOLS, tool_choice="none")
    assert answer.choices[0].message.content == HELLO


def test_structured_output_is_parsed(family):
    client = client_of(family)
    answer = client.chat.completions.parse(model=family.name, messages=asking("Who is Ada?"), response_format=Person)
    assert answer.choices[0].message.parsed == Person(**ADA)
    response = client.responses.parse(model=family.name, input="Who is Ada?", text_format=Person)
    assert response.output_parsed == Person(**ADA)


def test_reasoning_beside_content(thinker):
    client = client_of(thinker)
    answer = client.chat.completions.create(model=thinker.name, messages=asking("Think first."))
    assert answer.choices[0].message.reasoning_content == THOUGHT
    assert answer.usage.completion_tokens_details.reasoning_tokens > 5
    response = client.responses.create(model=thinker.name, input="Think first.")
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].content[0].text == THOUGHT
    assert response.output_text == "Four."


def test_a_response_with_calls_that_the_next_one_continues(family):
    client = client_of(family)
    tools = [{"type": "function", "name": "get_weather", "description": "The weather of a city", "parameters": WEATHER, "strict": False}]
    with client.responses.stream(model=family.name, input="What is the weather in Oslo?", tools=tools) as stream:
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        first = stream.get_final_response()
    [call] = [item for item in first.output if item.type == "function_call"]
    assert json.loads(call.arguments) == json.loads("".join(deltas)) == OSLO
    output = [{"type": "function_call_output", "call_id": call.call_id, "output": "Cold."}]
    second = client.responses.create(model=family.name, previous_response_id=first.id, input=output, tools=tools)
    assert second.output_text.startswith("I was told: ")
    assert second.usage.input_tokens_details.cached_tokens >= 64
    assert [item.id for item in client.responses.retrieve(first.id).output] == [item.id for item in first.output]
    assert [item.type for item in client.responses.input_items.list(second.id)] == ["function_call_output"]
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_models(one):
    client = client_of(one)
    assert [model.id for model in client.models.list()] == [one.name]
    assert client.models.retrieve(one.name).id == one.name


@pytest.mark.parametrize(
    ("error", "code", "body", "options"),
    [
        (openai.BadRequestError, "unsupported_parameter", {"extra_body": {"lora": "x"}}, {}),
        (openai.AuthenticationError, "invalid_api_key", {}, {"api_key": "wrong"}),
        (openai.NotFoundError, "model_not_found", {"model": "another"}, {}),
        (openai.RateLimitError, "queue_full", {"messages": asking("Be busy.")}, {}),
    ],
)
def test_errors_are_the_clients_own(one, error, code, body, options):
    with pytest.raises(error) as raised:
        client_of(one, **options).chat.completions.create(**{"model": one.name, "messages": asking("Say hello."), **body})
    assert raised.value.code == code
