"""A chat client that says what it was told to say: for tests and demos."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from decimal import Decimal

from agentmesh.errors import LlmError
from agentmesh.llm.pieces import split_pieces
from agentmesh.protocols import ChatRequest, ChatResponse


class ScriptedChat:
    """Answers from a list, used up one by one, or from a function of the request.

    A text costs nothing and counts no tokens; a ``ChatResponse`` is handed out as it is; an exception is raised. When
    the list is used up, further requests fail with an ``LlmError`` that says so. ``requests`` keeps all it was asked.

    >>> import asyncio
    >>> from agentmesh.protocols import ChatMessage
    >>> chat = ScriptedChat(["four"])
    >>> request = ChatRequest(messages=(ChatMessage(role="user", content="2 + 2?"),))
    >>> asyncio.run(chat.complete(request)).text
    'four'
    """

    def __init__(
        self,
        replies: Sequence[str | ChatResponse | Exception] | Callable[[ChatRequest], str],
        *,
        name: str = "scripted",
    ) -> None:
        self.requests: list[ChatRequest] = []
        self._name = name
        self._reply = replies if callable(replies) else None
        self._replies = () if callable(replies) else tuple(replies)
        self._left: Iterator[str | ChatResponse | Exception] = iter(self._replies)

    @property
    def name(self) -> str:
        """Return the name it was given."""
        return self._name

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer with the next reply.

        Raises:
            LlmError: the replies are used up.
            Exception: the next reply is one.
        """
        return self._next(request)

    async def stream(self, request: ChatRequest) -> AsyncIterator[str | ChatResponse]:
        """Yield the next reply word by word, then whole.

        Raises:
            LlmError: the replies are used up.
            Exception: the next reply is one.
        """
        response = self._next(request)
        for piece in split_pieces(response.text):
            yield piece
        yield response

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    def _next(self, request: ChatRequest) -> ChatResponse:
        self.requests.append(request)
        reply = self._reply(request) if self._reply is not None else next(self._left, None)
        if reply is None:
            raise LlmError(f"{self._name}: the script is used up; it holds {len(self._replies)} replies")
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, ChatResponse):
            return reply
        return ChatResponse(text=reply, model=self._name, cost_usd=Decimal(0), finish_reason="stop")
