"""Which answers of a team count as the same, found while it is asked or taken from a recording."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from agentmesh.errors import AgentMeshError, ReplayMissError
from agentmesh.events import WaveStarted
from agentmesh.graphs.log import named
from agentmesh.graphs.vectors import embedded
from agentmesh.judging.equivalence import text_key
from agentmesh.judging.forms import FORM_KEYS, keys_of_form
from agentmesh.judging.similar import LIKENESS, linked
from agentmesh.protocols import Embedder
from agentmesh.records import Task
from agentmesh.types import AgentId

EquivalenceName: TypeAlias = Literal["text", "number", "choice", "json", "auto", "embedding", "behaviour"]

Keys: TypeAlias = Callable[[Task, Sequence[str]], Sequence[Hashable]]
"""Maps the answers to a task to keys; those of one key are the same."""

Behaviour: TypeAlias = Callable[[Task, str], Hashable]
"""Says what an answer does, such as which tests it passes; answers that do the same are the same."""

REMEMBERED: Final = 1024
"""Behaviours that are kept, so that no answer is tried again with each wave."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """The agents whose answers are the same, sorted, the groups by their first agent; ``note`` says what went wrong."""

    groups: tuple[tuple[AgentId, ...], ...] = ()
    note: str = ""

    @property
    def numbers(self) -> dict[AgentId, int]:
        """Return the number of each agent's group."""
        return {name: number for number, group in enumerate(self.groups) for name in group}


class Equality(Protocol):
    """Says which answers to a task are the same. Whatever an answer is, it raises nothing on account of it."""

    async def grouped(self, task: Task, answers: Mapping[AgentId, str]) -> Grouped:
        """Return the groups of the agents that answered, whatever their order."""
        ...


def of_form(name: str) -> Keys:
    """Return the keys by which answers are compared: by one form, or for "auto" by the one that they have."""
    if name == "auto":
        return keys_of_form
    key = FORM_KEYS[name]
    return lambda _, texts: [key(text) for text in texts]


class KeyEquality:
    """Compares answers by keys. Pure, so that a replay finds the same."""

    def __init__(self, keys: Keys | None = None) -> None:
        """Take what maps answers to keys; by default they are compared as texts."""
        self._keys = of_form("text") if keys is None else keys

    async def grouped(self, task: Task, answers: Mapping[AgentId, str]) -> Grouped:
        """Group answers of one key."""
        names = sorted(answers)
        return Grouped(_groups(names, self._keys(task, [answers[name] for name in names])))


class EmbeddingEquality:
    """Compares answers by the cosine of their vectors. Where they cannot be embedded, they are compared as texts."""

    def __init__(self, embedder: Embedder, likeness: float = LIKENESS) -> None:
        """Use the embedder of a mesh; ``likeness`` is the cosine from which two answers are the same."""
        self._embedder, self._likeness = embedder, likeness

    async def grouped(self, task: Task, answers: Mapping[AgentId, str]) -> Grouped:  # noqa: ARG002 - the seam's signature
        """Group answers that a chain of near ones joins."""
        names = sorted(answers)
        texts = [answers[name] for name in names]
        if len(names) < 2:
            return Grouped(_groups(names, texts))
        try:
            vectors = await embedded(self._embedder, texts)
        except AgentMeshError as error:
            return Grouped(_groups(names, [text_key(text) for text in texts]), f"compared as texts: {named(error)}")
        return Grouped(_groups(names, linked(vectors, self._likeness)))


class BehaviourEquality:
    """Compares answers by what they do. One that cannot be tried is compared as a text."""

    def __init__(self, behaviour: Behaviour, *, remembered: int = REMEMBERED) -> None:
        """Take what tries an answer; it is called in a worker thread, once for each answer to a task."""
        self._behaviour, self._remembered = behaviour, remembered
        self._known: OrderedDict[tuple[str, str], tuple[Hashable, str]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many behaviours are kept."""
        return len(self._known)

    async def grouped(self, task: Task, answers: Mapping[AgentId, str]) -> Grouped:
        """Group answers that do the same."""
        names = sorted(answers)
        tried = await asyncio.gather(*(self._tried(task, answers[name]) for name in names))
        keys, faults = [key for key, _ in tried], [fault for _, fault in tried]
        told = [f"{name} is compared as a text: {fault}" for name, fault in zip(names, faults, strict=True) if fault]
        return Grouped(_groups(names, keys), "; ".join(told))

    async def _tried(self, task: Task, text: str) -> tuple[Hashable, str]:
        known = self._known.get((task.model_dump_json(), text))
        if known is None:
            known = await asyncio.to_thread(self._found, task, text)
            self._known[task.model_dump_json(), text] = known
            if len(self._known) > self._remembered:
                self._known.popitem(last=False)
        return known

    def _found(self, task: Task, text: str) -> tuple[Hashable, str]:
        try:
            key = ("does", self._behaviour(task, text))
            hash(key)
        except Exception as error:  # noqa: BLE001 - the boundary to the user's code: an answer that cannot be tried is told
            return ("text", text_key(text)), named(error)
        return key, ""


class RecordedEquality:
    """Repeats the groups that were recorded: what vectors or tries gave then cannot be found again from a trace."""

    def __init__(self, waves: Sequence[WaveStarted]) -> None:
        """Keep the groups of the waves of one run, in order: in rounds the same agents answer anew."""
        self._left = deque(Grouped(wave.groups, wave.note) for wave in waves)

    async def grouped(self, task: Task, answers: Mapping[AgentId, str]) -> Grouped:  # noqa: ARG002 - the seam's signature
        """Return the recorded groups of the agents that answered.

        Raises:
            ReplayMissError: none are recorded of them.
        """
        found = self._left.popleft() if self._left else Grouped()
        if found.numbers.keys() != answers.keys():
            raise ReplayMissError(f"no groups are recorded of the answers of {', '.join(sorted(answers))}")
        return found


def _groups(names: Sequence[AgentId], keys: Sequence[Hashable]) -> tuple[tuple[AgentId, ...], ...]:
    """Return names by key; they come sorted, so the groups do."""
    by_key: dict[Hashable, list[AgentId]] = {}
    for name, key in zip(names, keys, strict=True):
        by_key.setdefault(key, []).append(name)
    return tuple(tuple(members) for members in by_key.values())
