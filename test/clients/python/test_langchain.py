"""LangChain's ChatOpenAI, over chats and over responses."""

import openai
import pytest
from conftest import ADA, FAMILIES, HELLO, OSLO, Family, calls_of
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def get_weather(city: str, days: int, hours: list[float] | None = None, why: str | None = None) -> str:
    """The weather of a city."""
    return f"Cold in {city} for {days} days."


def model_of(family: Family, **options) -> ChatOpenAI:
    given = {"base_url": f"{family.url}/v1", "api_key": SecretStr(family.key), "model": family.name, "max_retries": 0}
    return ChatOpenAI(**{**given, **options})


# Responses come through the same client of OpenAI that meets every family elsewhere.
def pytest_generate_tests(metafunc):
    if "through" in metafunc.fixturenames:
        ways = [(family, False) for family in FAMILIES] + [(family, True) for family in FAMILIES if family.reasons]
        ids = [f"{family.name}-{'responses' if responses else 'chats'}" for family, responses in ways]
        metafunc.parametrize("through", ways, ids=ids)


def test_a_text_whole_and_as_a_stream(through):
    family, responses = through
    model = model_of(family, use_responses_api=responses)
    messages = [SystemMessage("Be brief."), HumanMessage("Say hello.")]
    answer = model.invoke(messages)
    assert answer.text == HELLO
    assert answer.usage_metadata["output_tokens"] > 5
    whole = None
    for chunk in model.stream(messages):
        whole = chunk if whole is None else whole + chunk
    assert whole.text == HELLO
    assert whole.usage_metadata["output_tokens"] == answer.usage_metadata["output_tokens"]


def test_tools_and_their_results(through):
    family, responses = through
    model = model_of(family, use_responses_api=responses).bind_tools([get_weather])
    one = family.format == "harmony" or not family.parallel
    question = "What is the weather in Oslo?" if one else "What is the weather in Oslo and in Bergen?"
    messages = [HumanMessage(question)]
    whole = None
    for chunk in model.stream(messages):
        whole = chunk if whole is None else whole + chunk
    answer = model.invoke(messages)
    expected = [OSLO] if one else calls_of(family)
    assert [call["args"] for call in whole.tool_calls] == [call["args"] for call in answer.tool_calls] == expected
    messages += [answer, *(ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]) for call in answer.tool_calls)]
    after = model.invoke(messages)
    assert after.text.startswith("I was told: ")
    assert after.usage_metadata["input_token_details"]["cache_read"] >= 64


def test_a_tool_that_is_forced(family):
    model = model_of(family).bind_tools([get_weather], tool_choice="get_weather")
    assert [call["args"] for call in model.invoke("What is the weather in Oslo?").tool_calls] == [OSLO]


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_structured_output_by_every_method(family, method):
    model = model_of(family).with_structured_output(Person, method=method)
    assert model.invoke("Who is Ada? Answer in JSON.") == Person(**ADA)


def test_structured_output_of_responses(thinker):
    assert model_of(thinker, use_responses_api=True).with_structured_output(Person).invoke("Who is Ada?") == Person(**ADA)


def test_errors_are_the_clients_own(one):
    with pytest.raises(openai.AuthenticationError):
        model_of(one, api_key=SecretStr("wrong")).invoke("Say hello.")
    with pytest.raises(openai.NotFoundError):
        model_of(one, model="another").invoke("Say hello.")
    with pytest.raises(openai.RateLimitError):
        model_of(one).invoke("Be busy.")
