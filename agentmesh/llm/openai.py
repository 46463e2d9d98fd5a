"""A chat client for any endpoint that speaks the OpenAI chat completions protocol: OpenAI, vLLM, Ollama, gateways."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from agentmesh.llm.endpoint import OpenAIEndpoint
from agentmesh.llm.wire import StreamReader, read_completion
from agentmesh.protocols import ChatRequest, ChatResponse


class OpenAIChat(OpenAIEndpoint):
    """Talks to an OpenAI-compatible chat endpoint.

    Its arguments are those of :class:`~agentmesh.llm.endpoint.OpenAIEndpoint`: model, address, key, time, prices.
    """

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer once, whole.

        Raises:
            LlmError: the endpoint failed, or sent something that is no answer.
        """
        raw = await self._post(self._body(request))
        return self._priced(read_completion(raw, name=self.name))

    async def stream(self, request: ChatRequest) -> AsyncIterator[str | ChatResponse]:
        """Yield pieces of text as they arrive, then the whole response as the last item.

        Leaving the loop early, or being cancelled, closes the response.

        Raises:
            LlmError: the endpoint failed, or the stream ended before the answer did.
        """
        body = self._body(request) | {"stream": True, "stream_options": {"include_usage": True}}
        reader = StreamReader(self.name)
        async with aclosing(self._events(body)) as events:
            async for event in events:
                if piece := reader.read(event):
                    yield piece
        yield self._priced(reader.response())

    def _priced(self, response: ChatResponse) -> ChatResponse:
        return response.model_copy(update={"cost_usd": self._price(response.usage)})
