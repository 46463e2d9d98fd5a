import subprocess
import sys

import pytest

from agentmesh.errors import ConfigError
from agentmesh.llm import LiteLlmChat, OpenAIChat
from agentmesh.llm.named import chat_named
from agentmesh.protocols import ChatMessage, ChatRequest
from agentmesh.settings import Settings
from agentmesh.testing import FakeOpenAIServer

HELLO = ChatRequest(messages=(ChatMessage(role="user", content="hello"),))


async def asked(server: FakeOpenAIServer, settings: Settings, **given: str) -> tuple[str, str]:
    """Ask once and return the model and the key that the server saw."""
    client = chat_named(given.get("model"), base_url=given.get("base_url"), settings=settings)
    await client.complete(HELLO)
    await client.aclose()
    request = server.requests[-1]
    assert isinstance(request.body, dict)
    return str(request.body["model"]), request.headers["authorization"].removeprefix("Bearer ")


async def test_url_model_and_key_come_from_the_settings() -> None:
    with FakeOpenAIServer() as server:
        settings = Settings(chat_url=server.base_url, chat_model="small", chat_key="hidden")
        assert await asked(server, settings) == ("small", "hidden")


async def test_what_is_given_stands_above_the_settings() -> None:
    with FakeOpenAIServer() as server:
        settings = Settings(chat_model="small", chat_key="hidden")
        assert await asked(server, settings, model="large", base_url=server.base_url) == ("large", "hidden")


async def test_a_key_that_is_set_beside_a_url_goes_nowhere_else() -> None:
    with FakeOpenAIServer() as server:
        settings = Settings(chat_url="https://chat.example/v1", chat_key="hidden")
        assert (await asked(server, settings, model="m", base_url=server.base_url))[1] != "hidden"


async def test_a_model_with_a_slash_is_asked_at_the_url_that_is_given() -> None:
    with FakeOpenAIServer() as server:
        assert (await asked(server, Settings(chat_url=server.base_url), model="org/open-8b"))[0] == "org/open-8b"


def test_without_a_url_a_provider_before_a_slash_goes_through_litellm() -> None:
    client = chat_named("anthropic/some-model", settings=Settings())
    assert isinstance(client, LiteLlmChat)
    assert client.name == "anthropic/some-model"


async def test_without_a_url_any_other_name_goes_through_the_openai_package() -> None:
    client = chat_named("some-model", settings=Settings(chat_key="hidden"))
    assert isinstance(client, OpenAIChat)
    await client.aclose()


def test_without_any_key_the_error_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match="no API key"):
        chat_named("some-model", settings=Settings())


def test_a_model_must_be_named() -> None:
    with pytest.raises(ConfigError, match="give --model NAME or set AGENTMESH_CHAT_MODEL"):
        chat_named(settings=Settings())


def test_the_settings_of_the_process_are_read_when_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTMESH_CHAT_MODEL", "anthropic/another")
    assert chat_named().name == "anthropic/another"


def test_no_client_is_loaded_before_one_is_asked_for() -> None:
    code = "import sys, agentmesh.llm.named; sys.exit('openai' in sys.modules or 'litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
