"""The edge of a run: inside it placeholders stand for the caller's secrets, outside it are the secrets themselves.

It wraps a run and knows nothing of it: the task is redacted before the executor sees it, and what comes back (the run,
and the events that listeners get) is restored for the caller alone. What is raised keeps its placeholders, since errors
end up in logs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agentmesh.events import AnswerChunk, CallFinished, Event, RunFinished, RunStarted
from agentmesh.judging.placeholders import PLACEHOLDER, Placeholders, StreamRestorer, texts_of
from agentmesh.judging.redaction import Secrets
from agentmesh.protocols import Embedder, EventSink
from agentmesh.records import Record, Run, Task
from agentmesh.types import AgentId, RunId, VectorArray

T = TypeVar("T")


class Edge:
    """Stands between the caller of one run and everything else.

    Args:
        secrets: What is hidden, ``None`` for nothing.
        task: The task as the caller gave it.
        run_id: The run; "" for a dry one.
    """

    def __init__(self, secrets: Secrets | None, task: Task, run_id: RunId) -> None:
        self._given, self._run_id = task, run_id
        self._all: Placeholders | None = None
        self.task = task
        """The task as the run sees it."""
        if secrets is not None:
            held = Placeholders.for_run(secrets, run_id, _texts(task))
            _learn(task, held)  # first all of them: one that its neighbours gave away may stand elsewhere too
            self.task = _redacted(task, held)
            self._all = held

    @property
    def _held(self) -> Placeholders | None:
        """Return the placeholders, ``None`` where nothing was hidden."""
        return self._all if self._all is not None and self._all.by_placeholder else None

    def hidden(self, text: str) -> str:
        """Return a text that somebody adds to the run as the run sees it."""
        return text if self._all is None else self._all.redact(text)

    def listeners(self, listeners: Sequence[EventSink]) -> tuple[EventSink, ...]:
        """Return listeners for the run that pass its events on, restored, to those of the caller."""
        if self._held is None:
            return tuple(listeners)
        return tuple(_RestoringSink(self, self._held, listener) for listener in listeners)

    def run(self, run: Run) -> Run:
        """Return a finished run as the caller gets it."""
        return run if self._held is None else self.restored(run).model_copy(update={"task": self._given})

    def event(self, event: Event) -> Event:
        """Return an event as the caller gets it, unless it is a piece of an answer."""
        restored = self.restored(event)
        is_given = isinstance(restored, RunStarted) and restored.run_id == self._run_id  # and not a stage's
        return restored.model_copy(update={"task": self._given}) if is_given else restored

    def restored(self, value: T) -> T:
        """Return a record, or any value in one, with the secrets back in all its texts."""
        return value if self._held is None else _restored(value, self._held)


@dataclass(slots=True)
class _RestoringSink:
    """Passes events on. Pieces of an answer are held back as long as they may be half of a placeholder."""

    edge: Edge
    held: Placeholders
    listener: EventSink
    _streams: dict[tuple[RunId, AgentId], StreamRestorer] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, AnswerChunk):
            stream = self._streams.setdefault((event.run_id, event.agent_id), StreamRestorer(self.held))
            self._tell(event, stream.feed(event.text))
            return
        ended = [event.call.agent_id] if isinstance(event, CallFinished) else []
        if isinstance(event, RunFinished):
            ended = [agent_id for run_id, agent_id in self._streams if run_id == event.run_id]
        for agent_id in ended:
            self._flush(agent_id, event)
        self.listener(self.edge.event(event))

    def _flush(self, agent_id: AgentId, event: Event) -> None:
        stream = self._streams.pop((event.run_id, agent_id), None)
        if stream is not None:
            last = AnswerChunk(run_id=event.run_id, seq=event.seq, at=event.at, agent_id=agent_id, text="")
            self._tell(last, stream.flush())

    def _tell(self, chunk: AnswerChunk, text: str) -> None:
        if text:
            self.listener(chunk.model_copy(update={"text": text}))


class UnmarkedEmbedder:
    """Embeds texts with the kind alone in the place of each placeholder: marks would move a vector at random."""

    def __init__(self, embedder: Embedder) -> None:
        """Embed with ``embedder``."""
        self._embedder = embedder

    @property
    def version(self) -> str:
        """Return the embedder's version."""
        return self._embedder.version

    @property
    def dimension(self) -> int:
        """Return the length of a vector."""
        return self._embedder.dimension

    @property
    def is_quick(self) -> bool:
        """Return whether the embedder is quick."""
        return self._embedder.is_quick

    def embed(self, texts: Sequence[str]) -> VectorArray:
        """Embed texts, in order.

        Shapes:
            returns (len(texts), d) float32.
        """
        return self._embedder.embed([PLACEHOLDER.sub(r"\1", text) for text in texts])


def _texts(task: Task) -> list[str]:
    return [*_spoken(task), *texts_of(dict(task.inputs))]


def _spoken(task: Task) -> Iterator[str]:
    """Yield all texts of a task that are no inputs."""
    yield task.text
    yield from (turn.text for turn in task.turns)
    for item in task.context:
        yield from (item.key, item.text)


def _learn(task: Task, held: Placeholders) -> None:
    for text in _spoken(task):
        held.learn(text)
    held.learn_json(dict(task.inputs))


def _redacted(task: Task, held: Placeholders) -> Task:
    turns = tuple(turn.model_copy(update={"text": held.redact(turn.text)}) for turn in task.turns)
    context = tuple(
        item.model_copy(update={"key": held.redact(item.key), "text": held.redact(item.text)}) for item in task.context
    )
    changed = {"text": held.redact(task.text), "inputs": held.redact_json(dict(task.inputs))}
    return task.model_copy(update={**changed, "turns": turns, "context": context})


def _restored(value: T, held: Placeholders) -> T:
    restored: Any = value
    if isinstance(value, str):
        restored = held.restore(value)
    elif isinstance(value, Record):
        fields = {name: _restored(item, held) for name, item in value}
        changes = {name: item for name, item in fields.items() if item is not getattr(value, name)}
        restored = value.model_copy(update=changes) if changes else value
    elif isinstance(value, tuple | list):
        items = [_restored(item, held) for item in value]
        restored = value if all(map(_is_same, items, value)) else type(value)(items)
    elif isinstance(value, Mapping):
        made = {_restored(key, held): _restored(item, held) for key, item in value.items()}
        restored = value if all(map(_is_same, made.items(), value.items())) else made
    return restored  # type: ignore[no-any-return]


def _is_same(one: object, other: object) -> bool:
    return one is other
