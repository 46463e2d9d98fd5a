"""Agents that go wrong in every way that agents go wrong, by a seed, to see that what holds them holds."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final, Literal, TypeAlias, cast, get_args

import numpy as np

from agentmesh.agents.base import Agent
from agentmesh.records import Answer, Money, Task

Fault: TypeAlias = Literal[
    "raises", "hangs", "no_answer", "no_cost", "huge", "empty", "dear", "swallows", "answers_late", "breaks_off"
]
"""What may go wrong: an error; no end; something that is no answer; a cost that is no number; an answer of 100,000
characters; an empty one; one that costs twice what was declared; cancellation that is swallowed, and more work after
it; an answer after cancellation; a stream that ends half way in an error."""

FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)

HUGE: Final = 100_000


class FaultyAgent(Agent):
    """Answers with the task's text, but in a share of its calls something goes wrong.

    Args:
        id: The agent's id.
        seed: Fixes in which calls, and what.
        share: How many of its calls go wrong, 0 to 1.
        delay_s: How long an answer takes.
        price_per_call_usd: What it declares and reports.

    ``met`` counts what went wrong, by its name. What is swallowed is swallowed once: a second cancellation ends it.
    """

    description = "Stands in for an agent that cannot be relied on."

    def __init__(
        self,
        id: str,
        *,
        seed: int,
        share: float = 0.3,
        delay_s: float = 0.005,
        price_per_call_usd: Money | None = "0.01",
    ) -> None:
        self.id = id
        self.price_per_call_usd = price_per_call_usd
        self.met: Counter[Fault] = Counter()
        self._rng = np.random.default_rng(seed)
        self._left: list[Fault] = []  # none comes again before all have come
        self._share, self._delay_s = share, delay_s

    async def run(self, task: Task) -> str | Answer:
        """Answer, or go wrong."""
        return await self._act(task, self._drawn())

    async def stream(self, task: Task) -> AsyncIterator[str | Answer]:
        """Answer in two pieces, or go wrong, half way if that is what is drawn."""
        fault = self._drawn()
        half = len(task.text) // 2
        if fault is None or fault == "breaks_off":
            yield task.text[:half]
            await asyncio.sleep(self._delay_s)
            if fault == "breaks_off":
                raise ConnectionError("the stream broke off")
            yield task.text[half:]
        else:
            yield await self._act(task, fault)

    def _drawn(self) -> Fault | None:
        """Return what goes wrong in this call, ``None`` for nothing."""
        if self._rng.random() >= self._share:
            return None
        if not self._left:
            self._left = [FAULTS[place] for place in self._rng.permutation(len(FAULTS)).tolist()]
        fault = self._left.pop()
        self.met[fault] += 1
        return fault

    async def _act(self, task: Task, fault: Fault | None) -> str | Answer:
        if fault in ("hangs", "swallows", "answers_late"):
            await self._never(fault)
        await asyncio.sleep(self._delay_s)
        if fault in ("raises", "breaks_off"):
            raise ConnectionError(f"agent {self.id!r} goes wrong by design")
        return self._said(task, fault)

    async def _never(self, fault: Fault) -> None:
        """Wait for ever; a cancellation may be swallowed."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if fault == "hangs":
                raise
            if fault == "swallows":
                await asyncio.Event().wait()

    def _said(self, task: Task, fault: Fault | None) -> str | Answer:
        if fault == "no_answer":
            return cast("str", {"text": task.text})
        if fault == "no_cost":
            return Answer(text=task.text, cost_usd=float("nan"))
        if fault == "huge":
            return task.text * (HUGE // max(len(task.text), 1) + 1)
        if fault == "dear":
            return Answer(text=task.text, cost_usd=2 * float(self.price_per_call_usd or 0))
        return "" if fault == "empty" else task.text
