"""A chat client for the hundred providers that litellm knows, with its cost table. Needs the extra ``llm``."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal
from importlib.util import find_spec
from inspect import isclass
from types import ModuleType
from typing import Any

from agentmesh.errors import ConfigError, MissingExtraError
from agentmesh.llm.failures import translated
from agentmesh.llm.wire import JsonObject, StreamReader, read_completion, request_body
from agentmesh.protocols import ChatRequest, ChatResponse
from agentmesh.settings import use_local_model_costs

_loading = threading.Lock()  # guards the first import of litellm: two event loops may ask for it at the same time


class LiteLlmChat:
    """Talks to a model through litellm; the cost of a call comes from litellm's table, ``None`` if it is not in it.

    litellm takes seconds to import: that happens once, in a thread, on the first call. It does not retry here.

    Args:
        model: the model as litellm names it, as in ``anthropic/claude-sonnet-4-5`` or ``openai/gpt-4o``.
        base_url: where the endpoint is, if not where litellm expects it.
        api_key: the key to send; without it litellm reads the provider's own variable.
        timeout_s: how long to wait for an answer; above 0.

    Raises:
        MissingExtraError: litellm is not installed.
        ConfigError: an argument cannot be used.
    """

    def __init__(
        self, model: str, *, base_url: str | None = None, api_key: str | None = None, timeout_s: float = 60.0
    ) -> None:
        if find_spec("litellm") is None:
            raise MissingExtraError("litellm", extra="llm")
        if not model:
            raise ConfigError(f"the model is {model!r}; expected a name")
        if not timeout_s > 0:
            raise ConfigError(f"timeout_s is {timeout_s!r}; expected seconds above 0")
        self._model = model
        self._options: JsonObject = {
            "base_url": base_url,
            "api_key": api_key,
            "timeout": timeout_s,
            "max_retries": 0,
            "num_retries": 0,
        }

    @property
    def name(self) -> str:
        """Return the model that is asked for, as litellm names it."""
        return self._model

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer once, whole.

        Raises:
            LlmError: the endpoint failed, or sent something that is no answer.
        """
        body = request_body(request, self._model)
        litellm = await load_litellm()
        with translated(self._model, also=failures(litellm)):
            raw = await litellm.acompletion(**body, **self._options)
            response = read_completion(_plain(raw), name=self._model)
        return self._priced(litellm, response)

    async def stream(self, request: ChatRequest) -> AsyncIterator[str | ChatResponse]:
        """Yield pieces of text as they arrive, then the whole response as the last item.

        Raises:
            LlmError: the endpoint failed, or the stream ended before the answer did.
        """
        body = request_body(request, self._model) | {"stream": True, "stream_options": {"include_usage": True}}
        litellm = await load_litellm()
        reader = StreamReader(self._model)
        with translated(self._model, also=failures(litellm)):
            async with aclosing(await litellm.acompletion(**body, **self._options)) as events:
                async for event in events:
                    if piece := reader.read(_plain(event)):
                        yield piece
        yield self._priced(litellm, reader.response())

    async def aclose(self) -> None:
        """Do nothing: litellm shares connections among all its users, and closes them when the process ends."""

    def _priced(self, litellm: ModuleType, response: ChatResponse) -> ChatResponse:
        return response.model_copy(update={"cost_usd": table_cost(litellm, self._model, response)})


async def load_litellm() -> ModuleType:
    """Import litellm in a thread, so that the event loop goes on meanwhile.

    Raises:
        MissingExtraError: it is not installed.
    """
    return await asyncio.to_thread(_import_litellm)


def table_cost(litellm: ModuleType, model: str, response: ChatResponse) -> Decimal | None:
    """Return what litellm's cost table makes of an answer, ``None`` when it does not know the model or the usage."""
    usage = response.usage
    if usage is None:
        return None
    try:
        costs = litellm.cost_per_token(
            model=model, prompt_tokens=usage.input_tokens, completion_tokens=usage.output_tokens
        )
    except failures(litellm):
        return None
    return sum((Decimal(repr(float(cost))) for cost in costs), Decimal(0))


def failures(litellm: ModuleType) -> tuple[type[Exception], ...]:
    """Return every exception that litellm declares; not all of them stem from those of openai."""
    declared = vars(litellm.exceptions).values()
    return tuple(kind for kind in declared if isclass(kind) and issubclass(kind, Exception))


def _import_litellm() -> ModuleType:
    with _loading:
        use_local_model_costs()
        try:
            import litellm  # noqa: PLC0415 - the loader of an optional extra
        except ImportError as error:
            raise MissingExtraError("litellm", extra="llm") from error
        litellm.suppress_debug_info = True  # it prints advice to stdout on every failure otherwise
        loaded: ModuleType = litellm
        return loaded


def _plain(raw: Any) -> object:
    return raw.model_dump(warnings=False)
