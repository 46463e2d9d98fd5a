import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from typing import Any, cast

import pytest

from agentmesh.errors import ConfigError, LlmError, MissingExtraError
from agentmesh.llm import LiteLlmChat
from agentmesh.llm.litellm import failures, load_litellm, table_cost
from agentmesh.protocols import ChatMessage, ChatModel, ChatRequest, ChatResponse
from agentmesh.records import Usage
from agentmesh.testing.completions import Scripted, ServerFault, ServerReply
from agentmesh.testing.server import FakeOpenAIServer

pytestmark = [
    pytest.mark.timeout(120),  # litellm takes seconds to import, and more on a busy machine
    # pydantic warns about what litellm does with it when it streams
    pytest.mark.filterwarnings(
        "ignore:Item .* on TypedDict class", "ignore:Accessing the .* attribute on the instance"
    ),
]

ASK = ChatRequest(messages=(ChatMessage(role="user", content="one two three"),))


FIRST_CALL = """
import asyncio, os, sys
from agentmesh.errors import LlmError
from agentmesh.llm.litellm import LiteLlmChat
from agentmesh.protocols import ChatRequest
chat = LiteLlmChat("nonsense")
assert "litellm" not in sys.modules
async def main():
    asking = asyncio.create_task(chat.complete(ChatRequest(messages=())))
    beats = 0
    while not asking.done():
        await asyncio.sleep(0.01)
        beats += 1
    assert isinstance(asking.exception(), LlmError)
    return beats
beats = asyncio.run(main())
assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
print(beats)
"""


def test_litellm_is_imported_at_the_first_call_while_the_loop_goes_on_and_a_failure_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    if "litellm" in sys.modules:  # another file was first
        done = subprocess.run([sys.executable, "-c", FIRST_CALL], check=True, capture_output=True, text=True)
        out, err = done.stdout, done.stderr
    else:  # here, since it takes many seconds and the tests after this one need it
        exec(FIRST_CALL, {})  # noqa: S102 - our own lines
        out, err = capfd.readouterr()
    assert err == ""
    assert int(out) >= 20


@asynccontextmanager
async def talking(*replies: Scripted, model: str = "openai/gpt-4o-mini") -> AsyncIterator[Any]:
    """Yield a client and the loopback server it talks to; the server echoes when there are no replies."""
    with FakeOpenAIServer(replies or None, api_key="key") as server:
        chat = LiteLlmChat(model, base_url=server.base_url, api_key="key", timeout_s=20)
        yield chat, server
        await chat.aclose()


async def collect(chat: LiteLlmChat, items: list[str | ChatResponse]) -> list[str | ChatResponse]:
    async for item in chat.stream(ASK):
        items.append(item)  # noqa: PERF401 - what came before a failure counts
    return items


async def test_an_answer_comes_with_usage_and_the_cost_of_the_table() -> None:
    async with talking(ServerReply("fine", usage=Usage(input_tokens=1000, output_tokens=10))) as (chat, _):
        response = await chat.complete(ASK)
    assert (response.text, response.finish_reason) == ("fine", "stop")
    assert response.usage == Usage(input_tokens=1000, output_tokens=10)
    assert response.cost_usd == Decimal("0.000156")


async def test_the_cost_of_a_model_outside_the_table_is_unknown() -> None:
    async with talking(model="openai/no-such-model") as (chat, _):
        assert (await chat.complete(ASK)).cost_usd is None


async def test_the_cost_is_unknown_without_usage() -> None:
    litellm = await load_litellm()
    assert table_cost(litellm, "gpt-4o-mini", ChatResponse(text="x", model="m")) is None


async def test_the_cost_is_unknown_when_litellm_knows_no_provider() -> None:
    litellm = await load_litellm()
    assert table_cost(litellm, "nonsense", ChatResponse(text="x", model="m", usage=Usage())) is None


async def test_a_stream_yields_pieces_and_then_the_whole_response_with_usage_and_cost() -> None:
    reply = ServerReply("to be or", usage=Usage(input_tokens=1000, output_tokens=10))
    async with talking(reply) as (chat, _):
        items = await collect(chat, [])
    assert items[:-1] == ["to ", "be ", "or"]
    assert items[-1].text == "to be or"
    assert items[-1].usage == Usage(input_tokens=1000, output_tokens=10)
    assert items[-1].cost_usd == Decimal("0.000156")


async def test_everything_that_was_asked_reaches_the_endpoint() -> None:
    request = ChatRequest(messages=ASK.messages, temperature=0.5, max_tokens=9, stop=("END",), seed=3)
    async with talking() as (chat, server):
        await chat.complete(request)
    body = cast("dict[str, Any]", server.requests[0].body)
    assert body["model"] == "gpt-4o-mini"
    assert (body["temperature"], body["max_tokens"], body["stop"], body["seed"]) == (0.5, 9, ["END"], 3)


async def test_structured_output_is_asked_for_and_comes_back() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with talking() as (chat, _):
        assert (await chat.complete(ASK.model_copy(update={"json_schema": schema}))).text == '{"n": 0}'


@pytest.mark.parametrize(
    ("fault", "retryable", "status"),
    [
        (ServerFault(status=429), True, 429),
        (ServerFault(status=500), True, 500),
        (ServerFault(status=503), True, 503),
        (ServerFault(status=400), False, 400),
        (ServerFault(status=401), False, 401),
        (ServerFault(status=404), False, 404),
        (ServerFault("drop"), True, 500),
        (ServerFault("truncate"), True, 500),
        (ServerFault("invalid_json"), True, 500),
        (ServerFault("empty_choices"), False, None),
    ],
)
async def test_each_fault_of_an_endpoint_is_an_llm_error_without_a_retry(
    fault: Scripted, retryable: bool, status: int | None
) -> None:
    async with talking(fault, "fine") as (chat, server):
        with pytest.raises(LlmError) as caught:
            await chat.complete(ASK)
    assert (caught.value.retryable, caught.value.status) == (retryable, status)
    assert str(caught.value).startswith("openai/gpt-4o-mini: ")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "pieces"),
    [
        (ServerFault(status=429), 0),
        (ServerFault("drop"), 0),
        (ServerFault("truncate", pieces=2), 2),
        (ServerFault("stream_error", pieces=1), 1),
        (ServerFault("invalid_json", pieces=1), 1),
    ],
)
async def test_each_fault_of_a_stream_is_an_llm_error_after_the_pieces_that_came(fault: Scripted, pieces: int) -> None:
    seen: list[str | ChatResponse] = []
    async with talking(fault) as (chat, _):
        with pytest.raises(LlmError) as caught:
            await collect(chat, seen)
    assert len(seen) == pieces
    assert caught.value.retryable


async def test_leaving_a_stream_early_hangs_up() -> None:
    async with talking(ServerReply("to be or", piece_delay_s=15)) as (chat, server):
        async with aclosing(chat.stream(ASK)) as items:
            assert await anext(items) == "to "
        assert await asyncio.to_thread(server.hung_up.wait, 5)


async def test_an_unknown_provider_is_an_llm_error() -> None:
    with pytest.raises(LlmError, match="nonsense: BadRequestError"):
        await LiteLlmChat("nonsense").complete(ASK)


async def test_every_exception_that_litellm_declares_is_translated() -> None:
    litellm = await load_litellm()
    declared = {name for name in vars(litellm.exceptions) if name.endswith(("Error", "Exception"))}
    assert declared <= {kind.__name__ for kind in failures(litellm)} | {"MockException"}
    assert litellm.exceptions.BudgetExceededError in failures(litellm)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": ""}, "the model is ''; expected a name"),
        ({"timeout_s": -1}, "timeout_s is -1; expected seconds above 0"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LiteLlmChat(**{"model": "small", **options})
    assert str(caught.value) == text


def test_it_is_a_chat_model_and_names_its_model() -> None:
    chat = LiteLlmChat("openai/gpt-4o-mini")
    assert isinstance(chat, ChatModel)
    assert chat.name == "openai/gpt-4o-mini"


def test_without_litellm_the_error_names_the_line_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=r"pip install 'agentmesh-routing\[llm\]'"):
        LiteLlmChat("small")


async def test_an_installation_that_vanished_is_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = LiteLlmChat("small")
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(MissingExtraError):
        await chat.complete(ASK)
