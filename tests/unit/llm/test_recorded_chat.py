import asyncio
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.errors import ConfigError, LlmError, ReplayMissError
from agentmesh.llm import OpenAIChat, RecordedChat, ScriptedChat
from agentmesh.llm.recorded import read_exchanges, request_key
from agentmesh.protocols import ChatModel, ChatRequest, ChatResponse
from agentmesh.records import Usage
from agentmesh.testing.server import FakeOpenAIServer


def asking(text: str, **more: object) -> ChatRequest:
    return ChatRequest.model_validate({"messages": [{"role": "user", "content": text}], **more})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.jsonl"


async def test_what_a_real_client_answered_is_given_again_without_it(path: Path) -> None:
    with FakeOpenAIServer(["forty two"]) as server:
        chat = OpenAIChat("small", base_url=server.base_url, price_in_per_m_usd=1, price_out_per_m_usd=1)
        recording = RecordedChat.record(chat, path)
        answered = await recording.complete(asking("6 * 7?"))
        await recording.aclose()
    again = RecordedChat.replay(path)
    assert again.name == "small"
    assert await again.complete(asking("6 * 7?")) == answered
    assert answered.cost_usd == Decimal("0.000005")


async def test_a_stream_is_recorded_and_given_again_in_words(path: Path) -> None:
    recording = RecordedChat.record(ScriptedChat(["to be or"]), path)
    first = [item async for item in recording.stream(asking("?"))]
    again = [item async for item in RecordedChat.replay(path).stream(asking("?"))]
    assert first == again
    assert again[:-1] == ["to ", "be ", "or"]


async def test_a_request_asked_often_is_answered_in_order_and_then_by_the_last(path: Path) -> None:
    recording = RecordedChat.record(ScriptedChat(["first", "second"]), path)
    for _ in range(2):
        await recording.complete(asking("?"))
    again = RecordedChat.replay(path)
    assert [(await again.complete(asking("?"))).text for _ in range(3)] == ["first", "second", "second"]


@pytest.mark.parametrize(
    "other", [asking("7 * 7?"), asking("6 * 7?", temperature=0.1), asking("6 * 7?", json_schema={"type": "object"})]
)
async def test_a_request_that_differs_in_any_field_is_a_miss_that_names_file_and_text(
    path: Path, other: ChatRequest
) -> None:
    await RecordedChat.record(ScriptedChat(["42"]), path).complete(asking("6 * 7?"))
    again = RecordedChat.replay(path)
    with pytest.raises(ReplayMissError) as caught:
        await again.complete(other)
    assert repr(str(path)) in str(caught.value)
    assert repr(other.messages[-1].content) in str(caught.value)


async def test_a_streamed_request_without_messages_is_a_miss_too(path: Path) -> None:
    await RecordedChat.record(ScriptedChat(["42"]), path).complete(asking("6 * 7?"))
    with pytest.raises(ReplayMissError, match="no answer of 'scripted' to ''"):
        _ = [item async for item in RecordedChat.replay(path).stream(ChatRequest(messages=()))]


async def test_failures_are_not_recorded(path: Path) -> None:
    recording = RecordedChat.record(ScriptedChat([LlmError("busy"), "fine"]), path)
    with pytest.raises(LlmError, match="busy"):
        await recording.complete(asking("?"))
    await recording.complete(asking("?"))
    assert [exchange.response.text for exchange in read_exchanges(path)] == ["fine"]


async def test_recording_again_appends(path: Path) -> None:
    for reply in ("one", "two"):
        await RecordedChat.record(ScriptedChat([reply]), path).complete(asking(reply))
    assert [exchange.response.text for exchange in read_exchanges(path)] == ["one", "two"]


async def test_calls_at_once_leave_whole_lines(path: Path) -> None:
    recording = RecordedChat.record(ScriptedChat(lambda request: request.messages[0].content * 500), path)
    await asyncio.gather(*(recording.complete(asking(f"number {n} ")) for n in range(20)))
    assert len(read_exchanges(path)) == 20


async def test_several_models_share_a_file_and_one_is_named_for_replay(path: Path) -> None:
    for name in ("small", "large"):
        await RecordedChat.record(ScriptedChat([f"{name} says"], name=name), path).complete(asking("?"))
    assert (await RecordedChat.replay(path, name="large").complete(asking("?"))).text == "large says"
    with pytest.raises(ConfigError, match=r"holds the models \['large', 'small'\]; name= must say which"):
        RecordedChat.replay(path)
    with pytest.raises(ConfigError, match=r"has no model 'huge'; it holds \['large', 'small'\]"):
        RecordedChat.replay(path, name="huge")


def test_a_missing_file_is_an_error_that_names_it(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"chat\.jsonl' cannot be read"):
        RecordedChat.replay(path)


def test_an_empty_file_holds_no_model(path: Path) -> None:
    path.write_text("\n")
    with pytest.raises(ConfigError, match=r"holds the models \[\]"):
        RecordedChat.replay(path)


@pytest.mark.parametrize("line", ["{", "[]", '{"key": "k"}'])
def test_a_malformed_line_is_an_error_that_names_its_number(path: Path, line: str) -> None:
    asyncio.run(RecordedChat.record(ScriptedChat(["42"]), path).complete(asking("?")))
    path.write_text(path.read_text() + line)
    with pytest.raises(ConfigError, match=r"chat\.jsonl', line 2: "):
        RecordedChat.replay(path)


def test_a_file_that_is_no_text_is_an_error(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        RecordedChat.replay(path)


async def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    recording = RecordedChat.record(ScriptedChat(["42"]), tmp_path)
    with pytest.raises(ConfigError, match="cannot be written"):
        await recording.complete(asking("?"))


def test_the_key_of_a_request_is_the_same_in_another_process() -> None:
    request = asking("6 * 7?", json_schema={"b": 1, "a": 2})
    code = (
        "from agentmesh.llm.recorded import *\n"
        f"print(request_key('m', ChatRequest.model_validate_json({request.model_dump_json()!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == request_key("m", request)


def test_the_key_does_not_depend_on_the_order_of_a_schema_but_on_the_model() -> None:
    request, turned = asking("?", json_schema={"b": 1, "a": 2}), asking("?", json_schema={"a": 2, "b": 1})
    assert request_key("m", request) == request_key("m", turned)
    assert request_key("m", request) != request_key("n", request)


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_survives_the_file(tmp_path_factory: pytest.TempPathFactory, asked: str, said: str) -> None:
    path = tmp_path_factory.mktemp("any") / "chat.jsonl"
    response = ChatResponse(text=said, model="m", usage=Usage(input_tokens=1), cost_usd=Decimal("0.10"))
    asyncio.run(RecordedChat.record(ScriptedChat([response]), path).complete(asking(asked)))
    assert asyncio.run(RecordedChat.replay(path).complete(asking(asked))) == response
    assert json.loads(path.read_text())["name"] == "scripted"


async def test_it_is_a_chat_model_that_closes_twice_in_either_mode(path: Path) -> None:
    recording = RecordedChat.record(ScriptedChat(["42"]), path)
    await recording.complete(asking("?"))
    for chat in (recording, RecordedChat.replay(path)):
        assert isinstance(chat, ChatModel)
        await chat.aclose()
        await chat.aclose()
