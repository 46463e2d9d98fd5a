"""A chat client for any endpoint that speaks the OpenAI chat completions protocol: OpenAI, vLLM, Ollama, gateways."""

import asyncio
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Literal
from weakref import WeakKeyDictionary

import openai
from pydantic import TypeAdapter, ValidationError

from agentmesh.errors import ConfigError
from agentmesh.llm.failures import translated
from agentmesh.llm.wire import JsonObject, StreamReader, price, read_completion, request_body
from agentmesh.protocols import ChatRequest, ChatResponse
from agentmesh.records import Money, Usd

_PATH = "/chat/completions"
_BASE_URL = re.compile(r"https?://[^\s/?#]+\S*")
_USD: TypeAdapter[Decimal] = TypeAdapter(Usd)
_NO_KEY = "no-key"
"""Sent to a named endpoint when no key is given, so that a key meant for OpenAI never goes elsewhere."""


class OpenAIChat:
    """Talks to an OpenAI-compatible chat endpoint through the openai package.

    It does not retry: that is up to the workflow, which counts attempts and money. One object may be used from
    several event loops, each has connections of its own.

    Args:
        model: the model to ask for.
        base_url: where the endpoint is, up to and with ``/v1``. Without it the openai package decides, by
            ``OPENAI_BASE_URL`` or its default.
        api_key: the key to send. Without it, and without ``base_url``, ``OPENAI_API_KEY`` is used; with ``base_url``
            no real key is sent.
        timeout_s: how long to wait for the connection, and for each next byte; above 0.
        price_in_per_m_usd: US dollars for a million tokens read.
        price_out_per_m_usd: US dollars for a million tokens written. The cost of a call is known if both are.
        max_tokens_field: how the endpoint calls the limit on the answer; newer OpenAI models take only
            ``max_completion_tokens``.

    Raises:
        ConfigError: an argument cannot be used, or there is no key at all.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        price_in_per_m_usd: Money | None = None,
        price_out_per_m_usd: Money | None = None,
        max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
    ) -> None:
        if not model:
            raise ConfigError(f"the model is {model!r}; expected a name")
        if base_url is not None and _BASE_URL.fullmatch(base_url) is None:
            raise ConfigError(f"base_url is {base_url!r}; expected a URL that begins with http:// or https://")
        if not timeout_s > 0:
            raise ConfigError(f"timeout_s is {timeout_s!r}; expected seconds above 0")
        self._model = model
        self._base_url = base_url
        self._api_key = api_key or (None if base_url is None else _NO_KEY)
        self._timeout_s = timeout_s
        self._price_in = _money("price_in_per_m_usd", price_in_per_m_usd)
        self._price_out = _money("price_out_per_m_usd", price_out_per_m_usd)
        self._max_tokens_field = max_tokens_field
        self._unused: openai.AsyncOpenAI | None = self._connect()
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI] = WeakKeyDictionary()

    @property
    def name(self) -> str:
        """Return the model that is asked for."""
        return self._model

    @property
    def price_in_per_m_usd(self) -> Decimal | None:
        """Return US dollars for a million tokens read, ``None`` if unknown."""
        return self._price_in

    @property
    def price_out_per_m_usd(self) -> Decimal | None:
        """Return US dollars for a million tokens written, ``None`` if unknown."""
        return self._price_out

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer once, whole.

        Raises:
            LlmError: the endpoint failed, or sent something that is no answer.
        """
        body = self._body(request)
        with translated(self._model):
            raw = await self._client().post(_PATH, cast_to=object, body=body)
        return self._priced(read_completion(raw, name=self._model))

    async def stream(self, request: ChatRequest) -> AsyncIterator[str | ChatResponse]:
        """Yield pieces of text as they arrive, then the whole response as the last item.

        Leaving the loop early, or being cancelled, closes the response.

        Raises:
            LlmError: the endpoint failed, or the stream ended before the answer did.
        """
        body = self._body(request) | {"stream": True, "stream_options": {"include_usage": True}}
        reader = StreamReader(self._model)
        with translated(self._model):
            events = await self._client().post(
                _PATH, cast_to=object, body=body, stream=True, stream_cls=openai.AsyncStream[object]
            )
            async with events:
                async for event in events:
                    if piece := reader.read(event):
                        yield piece
        yield self._priced(reader.response())

    async def aclose(self) -> None:
        """Close the connections of this event loop. Closing twice is harmless, and a later call opens new ones."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        unused, self._unused = self._unused, None
        for open_client in (client, unused):
            if open_client is not None:
                await open_client.close()

    def _client(self) -> openai.AsyncOpenAI:
        """Return the client of the running loop: a connection must not be used from a loop other than its own."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client, self._unused = self._unused or self._connect(), None
            self._clients[loop] = client
        return client

    def _connect(self) -> openai.AsyncOpenAI:
        try:
            return openai.AsyncOpenAI(
                api_key=self._api_key, base_url=self._base_url, timeout=self._timeout_s, max_retries=0
            )
        except openai.OpenAIError as error:
            raise ConfigError(f"{self._model}: no API key; pass api_key= or set OPENAI_API_KEY ({error})") from error

    def _body(self, request: ChatRequest) -> JsonObject:
        body = request_body(request, self._model)
        return {self._max_tokens_field if field == "max_tokens" else field: value for field, value in body.items()}

    def _priced(self, response: ChatResponse) -> ChatResponse:
        return response.model_copy(update={"cost_usd": price(response.usage, self._price_in, self._price_out)})


def _money(field: str, value: Money | None) -> Decimal | None:
    try:
        return None if value is None else _USD.validate_python(value)
    except ValidationError as error:
        raise ConfigError(f"{field} is {value!r}; expected US dollars, 0 or more") from error
