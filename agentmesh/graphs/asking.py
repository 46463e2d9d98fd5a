"""What a router asks a chat model through: a live client with a memory, or what a trace says was answered."""

import asyncio
from collections import OrderedDict
from decimal import Decimal

from agentmesh.errors import AgentMeshError, ConfigError, LlmError
from agentmesh.graphs.log import named
from agentmesh.llm.prices import request_usd
from agentmesh.llm.recorded import request_key
from agentmesh.protocols import ChatModel, ChatRequest, ChatResponse
from agentmesh.records import Reasoning
from agentmesh.routing.asking import Reply
from agentmesh.types import Clock


class LiveAsker:
    """Asks a chat client, once for each request: the same request again costs nothing while it is remembered.

    A client that fails in any way or takes too long is a fault of the reply. Failures are not remembered.

    Args:
        client: The chat client. It stays the caller's to close.
        clock: What the time of a call is taken by.
        remember: How many replies are kept, those last used; 0 keeps none.

    Raises:
        ConfigError: ``remember`` is below 0.
    """

    def __init__(self, client: ChatModel, clock: Clock, *, remember: int = 1024) -> None:
        if remember < 0:
            raise ConfigError(f"remember is {remember!r}; expected 0 or more replies")
        self._client = client
        self._clock = clock
        self._remember = remember
        self._replies: OrderedDict[str, ChatResponse] = OrderedDict()

    @property
    def model(self) -> str:
        """Return the client's name."""
        return self._client.name

    def estimate_usd(self, request: ChatRequest) -> Decimal | None:
        """Return what a reply of the greatest length would cost, 0 for one in memory; ``None`` for an unknown price."""
        if request_key(self._client.name, request) in self._replies:
            return Decimal(0)
        return request_usd(self._client, request)

    async def ask(self, request: ChatRequest, *, timeout_s: float | None = None) -> Reply:
        """Return the reply, from memory if this was asked before.

        Raises:
            ConfigError: the client cannot be used as it was set up, or cannot send such a request at all.
        """
        key = request_key(self._client.name, request)
        known = self._replies.get(key)
        if known is not None:
            self._replies.move_to_end(key)
            return _reply(known, cost_usd=Decimal(0), cached=True)
        begun, scope = self._clock.monotonic(), asyncio.timeout(timeout_s)
        try:
            async with scope:
                response = await self._client.complete(request)
        except LlmError as error:
            return self._fault(str(error), begun)
        except AgentMeshError:
            raise
        except Exception as error:  # noqa: BLE001 - the node boundary: a client may be somebody's own and raise anything
            late = f"it did not reply within {timeout_s:.3g} s" if scope.expired() else named(error)
            return self._fault(late, begun)
        self._keep(key, response)
        return _reply(response, cost_usd=response.cost_usd, latency_s=self._since(begun))

    def _keep(self, key: str, response: ChatResponse) -> None:
        self._replies[key] = response
        if len(self._replies) > self._remember:
            self._replies.popitem(last=False)

    def _fault(self, fault: str, begun: float) -> Reply:
        return Reply("", model=self._client.name, fault=fault, latency_s=self._since(begun))

    def _since(self, begun: float) -> float:
        return max(self._clock.monotonic() - begun, 0.0)


class RecordedAsker:
    """Gives again what a decision says its model replied, without any model; a fault is a fault again."""

    def __init__(self, reasoning: Reasoning | None) -> None:
        """Take what was recorded, ``None`` where nothing was asked."""
        self._reasoning = reasoning

    @property
    def model(self) -> str:
        """Return the name of the model of then."""
        return "" if self._reasoning is None else self._reasoning.model

    def estimate_usd(self, request: ChatRequest) -> Decimal:  # noqa: ARG002 - nothing is asked again
        """Return that it costs nothing to hear it again; what was refused then is recorded as a fault."""
        return Decimal(0)

    async def ask(self, request: ChatRequest, *, timeout_s: float | None = None) -> Reply:  # noqa: ARG002 - the same whatever is asked
        """Return what was replied then."""
        then = self._reasoning
        if then is None:
            return Reply("", model="", fault="nothing was asked when this was recorded")
        return Reply(
            then.reply,
            model=then.model,
            fault="" if then.reply else then.fault,  # what could not be understood then will not be now
            input_tokens=then.input_tokens,
            output_tokens=then.output_tokens,
            cost_usd=then.cost_usd,
            latency_s=then.latency_s,
            cached=then.cached,
        )


def _reply(response: ChatResponse, *, cost_usd: Decimal | None, latency_s: float = 0.0, cached: bool = False) -> Reply:
    usage = response.usage
    return Reply(
        response.text,
        model=response.model,
        input_tokens=None if usage is None else usage.input_tokens,
        output_tokens=None if usage is None else usage.output_tokens,
        cost_usd=cost_usd,
        latency_s=latency_s,
        cached=cached,
    )
