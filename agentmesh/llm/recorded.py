"""A chat client with a memory in a file: it records what another client answers, and gives it again without it."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from hashlib import blake2b
from pathlib import Path
from typing import Self

from agentmesh.errors import ConfigError, ReplayMissError
from agentmesh.llm.pieces import split_pieces
from agentmesh.protocols import ChatModel, ChatRequest, ChatResponse
from agentmesh.records import Record


def request_key(name: str, request: ChatRequest) -> str:
    """Return 32 hexadecimal digits that name a request to the model ``name``, the same in every process.

    >>> request_key("small", ChatRequest(messages=()))
    '27e105a8e06e79ab3bb82422258f0a9a'
    """
    text = json.dumps([name, request.model_dump(mode="json")], sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()


class Exchange(Record):
    """One line of a recording: what the model ``name`` was asked, and what it answered."""

    key: str
    name: str
    request: ChatRequest
    response: ChatResponse


class RecordedChat:
    """Records a client's answers in a file of JSON lines, or replays such a file with no client at all.

    Build it with :meth:`record` or :meth:`replay`. One file may hold the exchanges of several models. Failures are not
    recorded. A request that was recorded several times is replayed in that order, and its last answer from then on;
    costs are those of the time of recording.
    """

    def __init__(self, path: Path, name: str, *, client: ChatModel | None, exchanges: tuple[Exchange, ...]) -> None:
        """Take the parts; :meth:`record` and :meth:`replay` find them."""
        self._path = path
        self._name = name
        self._client = client
        self._answers: dict[str, list[ChatResponse]] = {}
        for exchange in exchanges:
            self._answers.setdefault(exchange.key, []).append(exchange.response)
        self._asked: Counter[str] = Counter()

    @classmethod
    def record(cls, client: ChatModel, path: str | Path) -> Self:
        """Return a client that asks ``client`` and appends each answer to the file ``path``."""
        return cls(Path(path), client.name, client=client, exchanges=())

    @classmethod
    def replay(cls, path: str | Path, *, name: str | None = None) -> Self:
        """Return a client that answers from the file ``path``; ``name`` says which model when it holds several.

        Raises:
            ConfigError: the file cannot be read, a line of it is malformed, or it does not hold that model.
        """
        exchanges = read_exchanges(Path(path))
        names = sorted({exchange.name for exchange in exchanges})
        if name is None and len(names) != 1:
            raise ConfigError(f"recording {str(path)!r} holds the models {names}; name= must say which to replay")
        if name is not None and name not in names:
            raise ConfigError(f"recording {str(path)!r} has no model {name!r}; it holds {names}")
        return cls(Path(path), name or names[0], client=None, exchanges=exchanges)

    @property
    def name(self) -> str:
        """Return the name of the model that is or was recorded."""
        return self._name

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer by asking and recording, or from the file.

        Raises:
            ReplayMissError: the file has no answer to this request.
            LlmError: the recorded client failed.
            ConfigError: the file cannot be written.
        """
        if self._client is None:
            return self._recorded(request)
        response = await self._client.complete(request)
        await self._keep(request, response)
        return response

    async def stream(self, request: ChatRequest) -> AsyncIterator[str | ChatResponse]:
        """Yield pieces, then the whole response: as the recorded client sends them, or word by word from the file.

        Raises:
            ReplayMissError: the file has no answer to this request.
            LlmError: the recorded client failed.
            ConfigError: the file cannot be written.
        """
        if self._client is not None:
            async for item in self._client.stream(request):
                if isinstance(item, ChatResponse):
                    await self._keep(request, item)
                yield item
            return
        response = self._recorded(request)
        for piece in split_pieces(response.text):
            yield piece
        yield response

    async def aclose(self) -> None:
        """Close the recorded client, if there is one."""
        if self._client is not None:
            await self._client.aclose()

    async def _keep(self, request: ChatRequest, response: ChatResponse) -> None:
        key = request_key(self._name, request)
        exchange = Exchange(key=key, name=self._name, request=request, response=response)
        # json, not pydantic's writer: half a surrogate pair in a text must not break the recording
        await asyncio.to_thread(_append, self._path, json.dumps(exchange.model_dump(mode="json")) + "\n")

    def _recorded(self, request: ChatRequest) -> ChatResponse:
        key = request_key(self._name, request)
        answers = self._answers.get(key)
        if answers is None:
            asked = request.messages[-1].content if request.messages else ""
            raise ReplayMissError(
                f"recording {str(self._path)!r} has no answer of {self._name!r} to {asked[:80]!r} (key {key}); "
                "the request must be the same in every field"
            )
        turn = min(self._asked[key], len(answers) - 1)
        self._asked[key] += 1
        return answers[turn]


def read_exchanges(path: Path) -> tuple[Exchange, ...]:
    """Read a recording, in order.

    Raises:
        ConfigError: the file cannot be read, or a line of it is no exchange.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"recording {str(path)!r} cannot be read: {error}") from error
    exchanges = []
    for number, line in enumerate(lines, start=1):
        try:
            exchanges += [Exchange.model_validate(json.loads(line))] if line.strip() else []
        except ValueError as error:  # of json or of pydantic
            raise ConfigError(f"recording {str(path)!r}, line {number}: {line[:80]!r} is no exchange") from error
    return tuple(exchanges)


def _append(path: Path, line: str) -> None:
    try:
        with path.open("ab", buffering=0) as file:  # unbuffered: one write for a line, so lines never interleave
            file.write(line.encode())
    except OSError as error:
        raise ConfigError(f"recording {str(path)!r} cannot be written: {error}") from error
