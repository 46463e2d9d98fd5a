"""An endpoint that speaks the OpenAI chat completions protocol: its connections, its prices, what it is sent."""

import asyncio
import re
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Literal
from weakref import WeakKeyDictionary

import openai
from pydantic import TypeAdapter, ValidationError

from agentmesh.errors import ConfigError
from agentmesh.llm.failures import translated
from agentmesh.llm.wire import JsonObject, price, request_body
from agentmesh.protocols import ChatRequest
from agentmesh.records import Money, Usage, Usd

_PATH = "/chat/completions"
_BASE_URL = re.compile(r"https?://[^\s/?#]+\S*")
_USD: TypeAdapter[Decimal] = TypeAdapter(Usd)
_NO_KEY = "no-key"
"""Sent to a named endpoint when no key is given, so that a key meant for OpenAI never goes elsewhere."""


class OpenAIEndpoint:
    """Sends requests to an OpenAI-compatible chat endpoint through the openai package.

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

    async def aclose(self) -> None:
        """Close the connections of this event loop. Closing twice is harmless, and a later call opens new ones."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        unused, self._unused = self._unused, None
        for open_client in (client, unused):
            if open_client is not None:
                await open_client.close()

    def _body(self, request: ChatRequest) -> JsonObject:
        body = request_body(request, self._model)
        return {self._max_tokens_field if field == "max_tokens" else field: value for field, value in body.items()}

    async def _post(self, body: JsonObject) -> object:
        """Return the JSON that the endpoint answers.

        Raises:
            LlmError: the endpoint failed.
        """
        with translated(self._model):
            return await self._client().post(_PATH, cast_to=object, body=body)

    async def _events(self, body: JsonObject) -> AsyncGenerator[object, None]:
        """Yield the JSON of each event that the endpoint streams.

        Raises:
            LlmError: the endpoint failed.
        """
        with translated(self._model):
            events = await self._client().post(
                _PATH, cast_to=object, body=body, stream=True, stream_cls=openai.AsyncStream[object]
            )
            async with events:
                async for event in events:
                    yield event

    def _price(self, usage: Usage | None) -> Decimal | None:
        return price(usage, self._price_in, self._price_out)

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


def _money(field: str, value: Money | None) -> Decimal | None:
    try:
        return None if value is None else _USD.validate_python(value)
    except ValidationError as error:
        raise ConfigError(f"{field} is {value!r}; expected US dollars, 0 or more") from error
