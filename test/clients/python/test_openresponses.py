"""The six cases of openresponses' compliance suite, made again: that suite is in no package registry. Every response and
event is checked by the models that `openresponses-types` makes of the specification."""

import json

import httpx
import openresponses_types as spec
import pytest
from pydantic import BaseModel

# Reasoning has a name of its own in the specification's events; clients of OpenAI know it by another one.
SAME = {"response.reasoning_text.delta": "response.reasoning.delta", "response.reasoning_text.done": "response.reasoning.done"}
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def events_of_the_specification() -> dict[str, type[BaseModel]]:
    models = [getattr(spec, name) for name in dir(spec) if name.endswith("StreamingEvent")]
    return {next(iter(model.model_fields["type"].annotation)).value: model for model in models if "type" in model.model_fields}


EVENTS = events_of_the_specification()


def post(family, body: dict) -> httpx.Response:
    headers = {"authorization": f"Bearer {family.key}"}
    return httpx.post(f"{family.url}/v1/responses", json={"model": family.name, **body}, headers=headers, timeout=600)


def user(content) -> dict:
    return {"type": "message", "role": "user", "content": content}


def respond(family, **body) -> spec.ResponseResource:
    response = post(family, body)
    assert response.status_code == 200, response.text
    resource = spec.ResponseResource.model_validate(response.json())
    assert resource.status == "completed"
    assert resource.output
    return resource


def stream(family, **body) -> list[dict]:
    """Events of a stream, each of the specification and numbered from 0; the last holds the whole response."""
    response = post(family, {**body, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [block.split("\n") for block in response.text.split("\n\n") if block]
    assert blocks.pop() == ["data: [DONE]"]
    events = []
    for name, data in blocks:
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        kind = SAME.get(event["type"], event["type"])
        EVENTS[kind].model_validate({**event, "type": kind})
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] == "response.completed"
    check_order(events[2:-1], events[-1]["response"]["output"])
    return events


def check_order(events: list[dict], output: list[dict]) -> None:
    """Items one after another: added, its parts, done; a part: added, deltas that add up, done."""
    done, item, text = [], None, ""
    for event in events:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert item is None and event["output_index"] == len(done)
            item = event["item"]["id"]
        elif kind == "response.output_item.done":
            assert event["item"]["id"] == item
            done.append(event["item"])
            item = None
        else:
            assert event["item_id"] == item and event["output_index"] == len(done)
            if kind.endswith(".delta"):
                text += event["delta"]
            elif kind.endswith("arguments.done") or kind.endswith("text.done") or kind.endswith("reasoning.done"):
                assert text == event.get("text", event.get("arguments"))
                text = ""
    assert item is None and done == output


def texts(resource: spec.ResponseResource) -> str:
    return "".join(part.text for item in resource.output if item.type == "message" for part in item.content)


def test_a_basic_text_response(family):
    assert texts(respond(family, input=[user("Say hello.")])).startswith("Hello")


def test_a_streaming_response(family):
    events = stream(family, input=[user("Say hello.")])
    assert "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta").startswith("Hello")


def test_a_streaming_response_with_reasoning(thinker):
    kinds = [event["item"]["type"] for event in stream(thinker, input=[user("Think first.")]) if event["type"] == "response.output_item.done"]
    assert kinds == ["reasoning", "message"]


def test_a_system_prompt(family):
    system = {"type": "message", "role": "system", "content": "You are a pirate."}
    assert texts(respond(family, input=[system, user("Say hello.")])).startswith("Hello")


def test_a_tool_is_called(family):
    resource = respond(family, input=[user("What is the weather in Oslo?")], tools=[TOOL])
    assert [item.name for item in resource.output if item.type == "function_call"] == ["get_weather"]
    events = stream(family, input=[user("What is the weather in Oslo?")], tools=[TOOL])
    kinds = {event["type"] for event in events}
    assert {"response.function_call_arguments.delta", "response.function_call_arguments.done"} <= kinds


def test_a_conversation_of_several_turns(family):
    said = {"type": "message", "role": "assistant", "content": "Hello Alice!"}
    resource = respond(family, input=[user("My name is Alice."), said, user("Say hello.")])
    assert texts(resource).startswith("Hello")


def test_an_image_is_described(one):
    """The suite asks for an answer here. The models read text alone, so the case is a skip with a name: of what is refused."""
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    response = post(one, {"input": [user([{"type": "input_text", "text": "What do you see?"}, image])]})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "unsupported_parameter"
    assert response.json()["error"]["param"] == "input.0.content.1.type"
    pytest.xfail("an image is refused by name, with 400: the models read text alone")
