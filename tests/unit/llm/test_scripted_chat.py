from decimal import Decimal

import pytest

from agentmesh.errors import LlmError
from agentmesh.llm import ScriptedChat
from agentmesh.protocols import ChatMessage, ChatModel, ChatRequest, ChatResponse


def asking(text: str) -> ChatRequest:
    return ChatRequest(messages=(ChatMessage(role="user", content=text),))


async def test_a_list_is_answered_one_by_one() -> None:
    chat = ScriptedChat(["first", "second"])
    assert [(await chat.complete(asking("?"))).text for _ in range(2)] == ["first", "second"]


async def test_a_text_costs_nothing_and_counts_no_tokens() -> None:
    response = await ScriptedChat(["hi"], name="double").complete(asking("?"))
    assert response == ChatResponse(text="hi", model="double", cost_usd=Decimal(0), finish_reason="stop")


async def test_a_response_is_handed_out_as_it_is() -> None:
    given = ChatResponse(text="hi", model="other", cost_usd=Decimal("0.5"))
    assert await ScriptedChat([given]).complete(asking("?")) is given


async def test_an_exception_is_raised_and_the_next_reply_follows() -> None:
    chat = ScriptedChat([LlmError("busy", retryable=True), "fine"])
    with pytest.raises(LlmError, match="busy"):
        await chat.complete(asking("?"))
    assert (await chat.complete(asking("?"))).text == "fine"


async def test_a_used_up_list_says_how_long_it_was() -> None:
    chat = ScriptedChat(["only"], name="double")
    await chat.complete(asking("?"))
    with pytest.raises(LlmError, match="double: the script is used up; it holds 1 replies"):
        await chat.complete(asking("?"))


async def test_a_function_answers_from_the_request() -> None:
    chat = ScriptedChat(lambda request: request.messages[-1].content.upper())
    assert (await chat.complete(asking("shout"))).text == "SHOUT"


async def test_a_stream_yields_words_and_then_the_whole() -> None:
    items = [item async for item in ScriptedChat(["to be or"]).stream(asking("?"))]
    assert items[:-1] == ["to ", "be ", "or"]
    assert isinstance(items[-1], ChatResponse)
    assert items[-1].text == "to be or"


async def test_requests_are_kept_those_that_failed_too() -> None:
    chat = ScriptedChat([LlmError("busy")])
    with pytest.raises(LlmError):
        await chat.complete(asking("one"))
    with pytest.raises(LlmError):
        _ = [item async for item in chat.stream(asking("two"))]
    assert chat.requests == [asking("one"), asking("two")]


async def test_it_is_a_chat_model_that_closes_twice() -> None:
    chat = ScriptedChat([], name="double")
    assert isinstance(chat, ChatModel)
    assert chat.name == "double"
    await chat.aclose()
    await chat.aclose()
