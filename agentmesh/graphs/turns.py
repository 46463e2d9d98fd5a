"""Whose turn it is: how many calls are under way at once, in a mesh and of each agent, first come first served."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from agentmesh.errors import ConfigError
from agentmesh.graphs.admission import Refusal
from agentmesh.graphs.health import HEALTHY, Breakers, Trial
from agentmesh.records import AgentCall, AgentCard
from agentmesh.types import AgentId


class Gate:
    """Lets so many through at once, and those who wait in the order in which they came.

    Args:
        most: How many, 1 and up.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, *, first: bool = False) -> None:
        """Wait for a place; ``first`` is for who had one before and has but lent it."""
        if self._free and (first or not self._waiting):
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(place)
        else:
            self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was given the place as it was cancelled
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to who has waited longest."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


@dataclass(slots=True, eq=False)
class Turn:
    """The right to make one call now. Whoever has it ends it, whatever became of the call."""

    card: AgentCard
    gates: tuple[Gate, ...] = ()
    breakers: Breakers | None = None
    trial: Trial = HEALTHY
    is_over: bool = False
    _inside: list[Gate] = field(default_factory=list)
    _taking: asyncio.Lock = field(default_factory=asyncio.Lock)  # guards a place from being taken back twice

    async def begin(self, *, first: bool = False) -> None:
        """Wait until all gates are passed: that of the agent before that of the mesh, which others could use."""
        try:
            for gate in self.gates:
                await gate.enter(first=first)
                self._inside.append(gate)
        except asyncio.CancelledError:
            self.lend()
            raise

    def lend(self) -> None:
        """Let others have the place for a while: the call waits for a run that it started."""
        while self._inside:
            self._inside.pop().leave()

    async def take_back(self) -> None:
        """Wait for the place that was lent, before all who have had none."""
        async with self._taking:
            if not self._inside and not self.is_over:
                await self.begin(first=True)
            if self.is_over:
                self.lend()

    def end(self, call: AgentCall | None, *, hurried: bool = False) -> None:
        """Give the place away, and let the agent's health know what came of the call: ``None`` is nothing.

        ``hurried`` says that the run's deadline left the agent little time.
        """
        self.is_over = True
        self.lend()
        if self.breakers is not None:
            self.breakers.note(self.trial, self.card, call, hurried=hurried)


class Turns:
    """Hands out turns.

    Args:
        most: Calls that may be under way at once, 1 and up; ``None`` for any number.
        breakers: Which agents are left alone for a while since they fail; ``None`` for none.

    Raises:
        ConfigError: ``most`` is below 1.
    """

    def __init__(self, most: int | None = None, *, breakers: Breakers | None = None) -> None:
        if most is not None and most < 1:
            raise ConfigError(f"max_concurrency is {most!r}; give 1 or more, or None for no limit")
        self.breakers = breakers
        self._mesh = () if most is None else (Gate(most),)
        self._agents: dict[tuple[AgentId, int], Gate] = {}

    async def take(self, card: AgentCard, *, left_s: float | None = None) -> Turn | Refusal:
        """Wait for a turn, at most ``left_s`` seconds, and return it, or why the call cannot be made."""
        turn = Turn(card, self._gates(card), self.breakers)
        if turn.gates:
            try:
                async with asyncio.timeout(left_s):
                    await turn.begin()
            except TimeoutError:
                return Refusal(f"the run's time was up before it was the turn of agent {card.id!r}")
        if self.breakers is not None:
            turn.trial = self.breakers.begin(card)
            if turn.trial.refusal is not None:
                turn.lend()
                return Refusal(turn.trial.refusal)
        return turn

    def _gates(self, card: AgentCard) -> tuple[Gate, ...]:
        most = card.max_concurrency
        if most is None:
            return self._mesh
        return (self._agents.setdefault((card.id, most), Gate(most)), *self._mesh)
