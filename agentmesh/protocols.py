"""What users may bring: chat clients, option models, embedders, verifiers, judges and listeners.

All are structural: there is nothing to inherit.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Literal, Protocol, runtime_checkable

from pydantic import Field

from agentmesh.events import Event
from agentmesh.records import Limits, Record, Run, Task, Turn, Usage
from agentmesh.types import AgentId, JsonValue, RunId, VectorArray


class ChatMessage(Record):
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatRequest(Record):
    """What a chat client is asked. ``json_schema`` asks for structured output where the client has it."""

    messages: tuple[ChatMessage, ...]
    temperature: float | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    stop: tuple[str, ...] = ()
    json_schema: JsonValue = None
    seed: int | None = None


class ChatResponse(Record):
    """What a chat client answered. ``cost_usd`` is ``None`` when the price is unknown."""

    text: str
    model: str
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    finish_reason: str | None = None


@runtime_checkable
class ChatModel(Protocol):
    """A chat endpoint.

    Raises ``LlmError`` for every failure of the endpoint; ``retryable`` says whether the same call may succeed later.
    """

    @property
    def name(self) -> str:
        """Return the name of the model behind it, as cost tables know it."""
        ...

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer once, whole."""
        ...

    def stream(self, request: ChatRequest) -> AsyncIterator[str | ChatResponse]:
        """Yield pieces of text as they arrive, then the whole response as the last item."""
        ...

    async def aclose(self) -> None:
        """Close connections. Closing twice is harmless."""
        ...


class Option(Record):
    """An agent that may be chosen, and what it says of itself, in a line for each thing."""

    id: AgentId
    description: str


class OptionRequest(Record):
    """Which of the ``options`` should work on a task? Their order says nothing. All texts are those of strangers.

    ``turns`` are the last of the conversation that the task belongs to; an agent is named there if it is an option.
    """

    task: str
    options: tuple[Option, ...] = Field(min_length=1)
    turns: tuple[Turn, ...] = ()


class OptionWeights(Record):
    """How probable it is that an option is right, by id, and that no option is (``none``).

    An option that is not told has probability 0. ``model`` is what answered, where that is not the name of the model
    asked; ``cost_usd`` is ``None`` when the price is unknown.
    """

    probabilities: Mapping[AgentId, Annotated[float, Field(ge=0, le=1)]]
    none: float = Field(ge=0, le=1)
    model: str | None = None
    usage: Usage | None = None
    cost_usd: Decimal | None = None


@runtime_checkable
class OptionModel(Protocol):
    """A decision model: it writes nothing, and says how probable each of a few options is; it may abstain.

    Raises ``LlmError`` for every failure; ``retryable`` says whether the same call may succeed later.
    """

    @property
    def name(self) -> str:
        """Return the name of the model behind it, as cost tables know it."""
        ...

    async def weigh(self, request: OptionRequest) -> OptionWeights:
        """Weigh the options of a task, and that none of them fits."""
        ...

    async def aclose(self) -> None:
        """Close connections. Closing twice is harmless."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Turns text into vectors of length 1; a text with no known token becomes zeros."""

    @property
    def version(self) -> str:
        """Return a name that changes whenever the same text may give another vector."""
        ...

    @property
    def dimension(self) -> int:
        """Return the length d of a vector."""
        ...

    @property
    def is_quick(self) -> bool:
        """Return whether a text takes well under a millisecond, with no network and no disk.

        Then it is embedded on the event loop; otherwise in a thread.
        """
        ...

    def embed(self, texts: Sequence[str]) -> VectorArray:
        """Embed texts, in order.

        Shapes:
            returns (len(texts), d) float32; (0, d) for no text.
        """
        ...


@runtime_checkable
class Verifier(Protocol):
    """Scores an answer by rule: exact, at once, without a model.

    It is called in a worker thread, for several runs at a time. What it raises is kept as a fault of learning.
    """

    @property
    def name(self) -> str:
        """Return the name under which its scores are recorded."""
        ...

    def verify(self, task: Task, answer: str) -> float | None:
        """Return 0 to 1, or ``None`` when this verifier has nothing to say on this task."""
        ...


@runtime_checkable
class Judge(Protocol):
    """Scores an answer by asking: slow, fallible, after the run.

    What it raises, and a score that does not come in time, is kept as a fault of learning.
    """

    @property
    def name(self) -> str:
        """Return the name under which its scores are recorded."""
        ...

    async def judge(self, task: Task, answer: str) -> float | None:
        """Return 0 to 1, or ``None`` to decline."""
        ...


@runtime_checkable
class EventSink(Protocol):
    """Listens to events as they happen. It must return at once and must not raise."""

    def __call__(self, event: Event) -> None:
        """Take one event."""
        ...


class Executor(Protocol):
    """Runs a task from end to end somewhere: in this process, or on another machine."""

    async def submit(self, task: Task, *, run_id: RunId, limits: Limits, listeners: Sequence[EventSink] = ()) -> Run:
        """Execute one run and return it, its trace committed; ``listeners`` get its events as they happen."""
        ...

    def cancel(self, run_id: RunId) -> bool:
        """Cancel a run that is under way, with all that it started; return whether there is such a run."""
        ...
