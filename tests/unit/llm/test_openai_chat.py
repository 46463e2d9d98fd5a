import asyncio
import gc
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from typing import Any, cast

import pytest

from agentmesh.errors import ConfigError, LlmError
from agentmesh.llm import OpenAIChat
from agentmesh.protocols import ChatMessage, ChatModel, ChatRequest, ChatResponse
from agentmesh.records import Usage
from agentmesh.testing.completions import Scripted, ServerFault, ServerReply
from agentmesh.testing.server import FakeOpenAIServer

ASK = ChatRequest(messages=(ChatMessage(role="user", content="one two three"),))


@asynccontextmanager
async def talking(*replies: Scripted, **options: Any) -> AsyncIterator[tuple[OpenAIChat, FakeOpenAIServer]]:
    """Yield a client and the loopback server it talks to; the server echoes when there are no replies."""
    with FakeOpenAIServer(replies or None) as server:
        chat = OpenAIChat("small", base_url=server.base_url, **options)
        try:
            yield chat, server
        finally:
            await chat.aclose()


async def streamed(chat: OpenAIChat, into: list[str | ChatResponse] | None = None) -> list[str | ChatResponse]:
    items = [] if into is None else into
    async for item in chat.stream(ASK):
        items.append(item)
    return items


async def failure(*replies: Scripted, **options: Any) -> LlmError:
    async with talking(*replies, **options) as (chat, _):
        with pytest.raises(LlmError) as caught:
            await chat.complete(ASK)
    return caught.value


async def stream_failure(*replies: Scripted, **options: Any) -> tuple[list[str | ChatResponse], LlmError]:
    seen: list[str | ChatResponse] = []
    async with talking(*replies, **options) as (chat, _):
        with pytest.raises(LlmError) as caught:
            await streamed(chat, seen)
    return seen, caught.value


def body_of(server: FakeOpenAIServer) -> dict[str, Any]:
    return cast("dict[str, Any]", server.requests[-1].body)


async def test_an_answer_comes_with_usage_and_cost() -> None:
    async with talking("forty two", price_in_per_m_usd="2", price_out_per_m_usd=8.0) as (chat, _):
        response = await chat.complete(ASK)
    assert response == ChatResponse(
        text="forty two",
        model="small",
        usage=Usage(input_tokens=3, output_tokens=2),
        cost_usd=Decimal("0.000022"),
        finish_reason="stop",
    )


async def test_the_cost_is_unknown_without_prices() -> None:
    async with talking() as (chat, _):
        assert (await chat.complete(ASK)).cost_usd is None
        last = (await streamed(chat))[-1]
    assert isinstance(last, ChatResponse)
    assert last.cost_usd is None


async def test_a_stream_yields_pieces_and_then_the_whole_response_with_usage_and_cost() -> None:
    async with talking("to be or", price_in_per_m_usd=1, price_out_per_m_usd=Decimal(1)) as (chat, server):
        items = await streamed(chat)
    assert items[:-1] == ["to ", "be ", "or"]
    assert items[-1] == ChatResponse(
        text="to be or",
        model="small",
        usage=Usage(input_tokens=3, output_tokens=3),
        cost_usd=Decimal("0.000006"),
        finish_reason="stop",
    )
    assert body_of(server)["stream_options"] == {"include_usage": True}


async def test_everything_that_was_asked_reaches_the_endpoint() -> None:
    request = ChatRequest(messages=ASK.messages, temperature=0.5, max_tokens=9, stop=("END",), seed=3)
    async with talking() as (chat, server):
        await chat.complete(request)
    assert body_of(server) == {
        "model": "small",
        "messages": [{"role": "user", "content": "one two three"}],
        "temperature": 0.5,
        "max_tokens": 9,
        "stop": ["END"],
        "seed": 3,
    }


async def test_the_limit_on_the_answer_can_go_by_its_newer_name() -> None:
    async with talking(max_tokens_field="max_completion_tokens") as (chat, server):
        await chat.complete(ASK.model_copy(update={"max_tokens": 9}))
    assert body_of(server)["max_completion_tokens"] == 9
    assert "max_tokens" not in body_of(server)


async def test_structured_output_is_asked_for_and_comes_back() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with talking() as (chat, server):
        response = await chat.complete(ASK.model_copy(update={"json_schema": schema}))
    assert response.text == '{"n": 0}'
    assert body_of(server)["response_format"]["json_schema"]["schema"] == schema


async def test_the_key_is_sent() -> None:
    with FakeOpenAIServer(api_key="right") as server:
        chat = OpenAIChat("small", base_url=server.base_url, api_key="right")
        assert (await chat.complete(ASK)).text == "one two three"
        await chat.aclose()


async def test_a_key_meant_for_openai_is_not_sent_to_a_named_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    async with talking() as (chat, server):
        await chat.complete(ASK)
    assert "secret" not in repr(server.requests)


async def test_a_refusal_is_an_error() -> None:
    error = await failure(ServerReply(refusal="no way"))
    assert str(error) == "small: the model refused: 'no way'"


@pytest.mark.parametrize(
    ("fault", "retryable", "status", "text"),
    [
        (ServerFault(status=429, retry_after_s=2), True, 429, "asks to wait 2 s"),
        (ServerFault(status=429, code="insufficient_quota"), False, 429, "scripted failure"),
        (ServerFault(status=408), True, 408, "scripted failure"),
        (ServerFault(status=409), True, 409, "scripted failure"),
        (ServerFault(status=500), True, 500, "scripted failure"),
        (ServerFault(status=503), True, 503, "scripted failure"),
        (ServerFault(status=400), False, 400, "scripted failure"),
        (ServerFault(status=401), False, 401, "scripted failure"),
        (ServerFault(status=404), False, 404, "scripted failure"),
        (ServerFault("drop"), True, None, "disconnected"),
        (ServerFault("truncate"), True, None, "peer closed"),
        (ServerFault("invalid_json"), False, None, "JSON"),
        (ServerFault("empty_choices"), False, None, "no choices"),
        (ServerReply(body="<html>", content_type="text/html"), False, None, "sent '<html>'"),
        (ServerReply(body='{"choices": 3}'), False, None, "no chat completion"),
    ],
)
async def test_each_fault_of_an_endpoint_is_an_llm_error(
    fault: Scripted, retryable: bool, status: int | None, text: str
) -> None:
    error = await failure(fault)
    assert (error.retryable, error.status) == (retryable, status)
    assert str(error).startswith("small: ")
    assert text in str(error)


@pytest.mark.parametrize(
    ("fault", "retryable", "pieces"),
    [
        (ServerFault(status=429), True, 0),
        (ServerFault("drop"), True, 0),
        (ServerFault("truncate", pieces=2), True, 2),
        (ServerFault("stop", pieces=2), True, 2),
        (ServerFault("stream_error", pieces=1), True, 1),
        (ServerFault("invalid_json", pieces=1), False, 1),
        (ServerFault("empty_choices"), True, 0),
        (ServerReply(body="<html>", content_type="text/html"), True, 0),
    ],
)
async def test_each_fault_of_a_stream_is_an_llm_error_after_the_pieces_that_came(
    fault: Scripted, retryable: bool, pieces: int
) -> None:
    seen, error = await stream_failure(fault)
    assert len(seen) == pieces
    assert error.retryable is retryable


async def test_a_slow_endpoint_is_a_timeout_that_may_be_tried_again() -> None:
    error = await failure(ServerReply("late", delay_s=15), timeout_s=0.05)
    assert error.retryable
    assert "timed out" in str(error)


async def test_a_stream_that_stalls_is_a_timeout_that_may_be_tried_again() -> None:
    seen, error = await stream_failure(ServerReply("to be", piece_delay_s=15), timeout_s=0.5)
    assert seen == ["to "]
    assert error.retryable


async def test_nobody_listening_is_a_lost_connection() -> None:
    with FakeOpenAIServer() as server:
        address = server.base_url
    chat = OpenAIChat("small", base_url=address)
    with pytest.raises(LlmError) as caught:
        await chat.complete(ASK)
    await chat.aclose()
    assert caught.value.retryable


async def test_a_failure_is_not_retried_by_the_client() -> None:
    async with talking(ServerFault(status=500), "fine") as (chat, server):
        with pytest.raises(LlmError):
            await chat.complete(ASK)
    assert len(server.requests) == 1


async def test_text_that_cannot_be_sent_is_one_clear_error() -> None:
    async with talking() as (chat, _):
        with pytest.raises(LlmError, match="surrogates not allowed"):
            await chat.complete(ChatRequest(messages=(ChatMessage(role="user", content="\ud800"),)))


async def test_cancelling_in_the_middle_of_a_stream_hangs_up() -> None:
    first = asyncio.Event()

    async def consume(chat: OpenAIChat) -> None:
        async for _ in chat.stream(ASK):
            first.set()

    async with talking(ServerReply("to be", piece_delay_s=15)) as (chat, server):
        task = asyncio.create_task(consume(chat))
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.hung_up.wait, 5)


async def test_leaving_a_stream_early_hangs_up() -> None:
    async with talking(ServerReply("to be", piece_delay_s=15)) as (chat, server):
        async with aclosing(cast("Any", chat.stream(ASK))) as items:
            assert await anext(items) == "to "
        assert await asyncio.to_thread(server.hung_up.wait, 5)


async def test_many_calls_at_once_are_answered_each_by_its_own() -> None:
    async with talking() as (chat, _):
        asked = [ChatRequest(messages=(ChatMessage(role="user", content=f"number {n}"),)) for n in range(20)]
        answers = await asyncio.gather(*(chat.complete(request) for request in asked))
    assert [answer.text for answer in answers] == [f"number {n}" for n in range(20)]


async def test_closing_twice_is_harmless_and_a_later_call_opens_connections_again() -> None:
    async with talking() as (chat, _):
        await chat.aclose()
        await chat.aclose()
        assert (await chat.complete(ASK)).text == "one two three"


def test_one_client_serves_one_event_loop_after_another() -> None:
    async def once(chat: OpenAIChat) -> str:
        try:
            return (await chat.complete(ASK)).text
        finally:
            await chat.aclose()

    with FakeOpenAIServer() as server:
        chat = OpenAIChat("small", base_url=server.base_url)
        assert [asyncio.run(once(chat)) for _ in range(2)] == ["one two three"] * 2


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_ended_without_closing_does_not_break_the_next() -> None:
    # the first loop leaves its connection open on purpose, hence the warnings that are let through
    with FakeOpenAIServer() as server:
        chat = OpenAIChat("small", base_url=server.base_url)
        answers = [asyncio.run(chat.complete(ASK)).text for _ in range(2)]
    del chat
    gc.collect()
    assert answers == ["one two three"] * 2


async def test_it_is_a_chat_model_and_names_its_model() -> None:
    async with talking() as (chat, _):
        assert isinstance(chat, ChatModel)
        assert chat.name == "small"


def test_it_tells_its_prices() -> None:
    chat = OpenAIChat("small", api_key="k", price_in_per_m_usd=0.1)
    assert (chat.price_in_per_m_usd, chat.price_out_per_m_usd) == (Decimal("0.1"), None)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": ""}, "the model is ''; expected a name"),
        ({"base_url": "localhost:8080"}, "base_url is 'localhost:8080'; expected a URL"),
        ({"timeout_s": 0}, "timeout_s is 0; expected seconds above 0"),
        ({"timeout_s": float("nan")}, "timeout_s is nan; expected"),
        ({"price_in_per_m_usd": -1}, "price_in_per_m_usd is -1; expected US dollars"),
        ({"price_out_per_m_usd": "cheap"}, "price_out_per_m_usd is 'cheap'; expected US dollars"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAIChat(**{"model": "small", "api_key": "k", **options})
    assert str(caught.value).startswith(text)


def test_no_key_at_all_is_an_error_that_says_where_to_put_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="small: no API key; pass api_key= or set OPENAI_API_KEY"):
        OpenAIChat("small")


def test_importing_the_package_loads_neither_openai_nor_litellm() -> None:
    code = "import sys, agentmesh.llm; sys.exit(bool({'openai', 'litellm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    code = "import agentmesh.llm as llm; llm.NoSuchChat"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "module 'agentmesh.llm' has no attribute 'NoSuchChat'" in done.stderr
