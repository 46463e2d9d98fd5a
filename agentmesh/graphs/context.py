"""Gives each agent its own slice of a task's context, where the run's limits say how much one agent gets."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from agentmesh.events import ContextSliced
from agentmesh.graphs.admission import ProposedCall
from agentmesh.graphs.log import RunLog
from agentmesh.graphs.material import Material
from agentmesh.graphs.passages import CountTokens, estimated_tokens
from agentmesh.graphs.slices import WEIGHTS, Query, Slice, SliceWeights, cut
from agentmesh.graphs.vectors import embedded
from agentmesh.protocols import Embedder
from agentmesh.records import AgentCard, ContextItem, Task
from agentmesh.types import VectorArray

MOST_KEPT: Final = 64
"""Contexts that are kept ready: those of the runs under way, since all agents of a run are given slices of one."""

LARGE_CHARACTERS: Final = 4_000
"""A context of this size takes some 10 ms to read, once; a larger one is left to a thread."""


@dataclass(slots=True, eq=False)
class _Ready:
    """One context as it becomes ready; ``lock`` sees to it that agents asked at once wait for one reading."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    material: Material | None = None
    vectors: VectorArray | None = None


class ContextSlices:
    """Stands before a call: an agent gets a slice of the task's context, and the trace says what is in it and why.

    It does nothing for a task without context, or where ``Limits.context_tokens`` is not set.

    Args:
        embedder: What says how like the task a passage is.
        count_tokens: Takes a text and returns its tokens; by default a quarter of its characters.
        weights: What each reason to take a passage weighs.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        count_tokens: CountTokens = estimated_tokens,
        weights: SliceWeights = WEIGHTS,
    ) -> None:
        self._embedder, self._count, self._weights = embedder, count_tokens, weights
        self._ready: dict[tuple[ContextItem, ...], _Ready] = {}

    async def admit(self, proposed: ProposedCall, log: RunLog) -> Task:
        """Return the task with the slice of its context that the agent gets."""
        task, budget = proposed.task, proposed.limits.context_tokens
        if budget is None or not task.context:
            return task
        made = await self.slice(task, proposed.card, budget)
        if proposed.attempt == 1:  # a further attempt gets the same
            log.post(
                ContextSliced,
                agent_id=proposed.card.id,
                wave=proposed.wave,
                budget_tokens=budget,
                tokens=made.tokens,
                full_tokens=made.full_tokens,
                items=made.told,
            )
        return task.model_copy(update={"context": made.items})

    async def slice(self, task: Task, card: AgentCard, budget: int) -> Slice:
        """Return the slice of a task's context that an agent gets within ``budget`` tokens.

        Raises:
            LlmError: the embedder's endpoint failed.
        """
        is_large = sum(len(item.text) for item in task.context) > LARGE_CHARACTERS
        material, vectors = await self._read(task.context, budget, in_thread=is_large)
        query = await self._query(task, card, vectors)
        if not is_large:
            return cut(material, query, budget, weights=self._weights)
        return await asyncio.to_thread(cut, material, query, budget, weights=self._weights)

    def with_weights(self, weights: SliceWeights) -> "ContextSlices":
        """Return slices by other weights, of the same contexts."""
        other = ContextSlices(self._embedder, count_tokens=self._count, weights=weights)
        other._ready = self._ready
        return other

    def _kept(self, context: tuple[ContextItem, ...]) -> _Ready:
        """Return what is ready of a context; of more than are kept, the oldest are forgotten."""
        ready = self._ready.setdefault(context, _Ready())
        for old in list(self._ready)[: max(len(self._ready) - MOST_KEPT, 0)]:
            del self._ready[old]
        return ready

    async def _read(
        self, context: tuple[ContextItem, ...], budget: int, *, in_thread: bool
    ) -> tuple[Material, VectorArray | None]:
        """Return a context in passages, with their vectors where it does not fit as it is."""
        ready = self._kept(context)
        async with ready.lock:
            if ready.material is None and in_thread:
                ready.material = await asyncio.to_thread(Material.of, context, self._count)
            material = ready.material = ready.material or Material.of(context, self._count)
            if ready.vectors is None and not material.fits(budget):
                if in_thread:
                    ready.vectors = await asyncio.to_thread(self._embedder.embed, material.texts)
                else:
                    ready.vectors = await embedded(self._embedder, material.texts)
            return material, None if material.fits(budget) else ready.vectors

    async def _query(self, task: Task, card: AgentCard, vectors: VectorArray | None) -> Query:
        said = " ".join((card.description, *card.skills))
        if vectors is None:  # everything fits, so nothing is compared
            return Query(task.text, said)
        own = await embedded(self._embedder, [task.text, said])
        return Query(task.text, said, vectors, own[0], own[1])
