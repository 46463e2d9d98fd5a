"""Makes a chat client from a model's name and the settings."""

from agentmesh import llm
from agentmesh.errors import ConfigError
from agentmesh.protocols import ChatModel
from agentmesh.settings import Settings


def chat_named(model: str | None = None, *, base_url: str | None = None, settings: Settings | None = None) -> ChatModel:
    """Build the client that asks ``model``; what is left out comes from ``AGENTMESH_CHAT_URL``, ``_MODEL``, ``_KEY``.

    With a URL the endpoint there is asked. Without one, a name with a provider before a slash, such as
    ``anthropic/claude-sonnet-4-5``, goes through litellm, and any other to where the openai package looks by itself.

    A key that is set beside a URL is sent to that URL alone.

    Raises:
        ConfigError: no model is named, the URL cannot be used, or there is no key at all.
        MissingExtraError: the model needs litellm, which is not installed.
    """
    known = settings or Settings.load()
    name, url = model or known.chat_model, base_url or known.chat_url
    if not name:
        raise ConfigError("no chat model is named; give --model NAME or set AGENTMESH_CHAT_MODEL")
    key = known.chat_key if known.chat_url in (None, url) else None
    if url is None and "/" in name:
        return llm.LiteLlmChat(name, api_key=key)
    return llm.OpenAIChat(name, base_url=url, api_key=key)
