"""Runs inside runs: what a run that an agent starts inherits of the run that called the agent, and reports back to it.

A scope is entered around each call of an agent, and whoever starts runs of his own (a workflow) enters one too:

    with entered(context.scope):
        run = await mesh.run(task)     # spends what is left of context.scope, and is cancelled with it
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, Literal

from agentmesh.errors import BudgetError
from agentmesh.graphs.limits import Budget
from agentmesh.graphs.turns import Turn
from agentmesh.records import Limits
from agentmesh.types import Clock, RunId

DEEPEST: Final = 8
"""Runs that may stand inside one another. Agents that route to themselves end here rather than never."""


@dataclass(slots=True, eq=False)
class Inner:
    """The runs that one call started: what they cost together, and which are under way.

    ``turn`` is what the call holds of the mesh's concurrency; it is lent out while runs inside it are under way, so
    that they never wait for the call that waits for them. ``sign`` is told of each of their events; ``None`` where
    nobody waits for one. ``standing`` says whether the call still runs, has ended, or was left before its end.
    """

    turn: Turn | None = None
    sign: Callable[[], None] | None = None
    usd: Decimal | None = Decimal(0)
    under_way: set[asyncio.Task[Any]] = field(default_factory=set)
    standing: Literal["open", "ended", "left"] = "open"

    def add(self, usd: Decimal | None) -> None:
        """Add what a run cost; ``None`` is unknown and makes the sum so."""
        self.usd = None if self.usd is None or usd is None else self.usd + usd


@dataclass(frozen=True, slots=True)
class RunScope:
    """One run, as the runs inside it see it.

    ``deadline`` is on the clock's monotonic scale, ``None`` for no time limit. ``outer`` is the scope of the run that
    this one is part of, and ``inner`` what is started inside it.
    """

    run_id: RunId
    budget: Budget
    deadline: float | None
    clock: Clock
    outer: "RunScope | None" = None
    inner: Inner = field(default_factory=Inner)

    @property
    def depth(self) -> int:
        """Return how many runs stand around what is started here, this one included."""
        return 1 if self.outer is None else self.outer.depth + 1

    def left_s(self) -> float | None:
        """Return the seconds that are left, ``None`` for any number."""
        return None if self.deadline is None else max(self.deadline - self.clock.monotonic(), 0.0)

    def for_call(self, inner: Inner, *, timeout_s: float | None) -> "RunScope":
        """Return the scope of one call in this run, which may take ``timeout_s``."""
        deadline = self.deadline if timeout_s is None else self.clock.monotonic() + timeout_s
        return replace(self, deadline=deadline, inner=inner)

    def wanted_sign(self) -> Callable[[], None] | None:
        """Return what wants to hear of signs of life in this run, ``None`` where nobody does."""
        return None if self.outer is None else self.outer.inner.sign

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep a run inside this scope: the turn of its call is lent for so long, and it can be cancelled with it.

        Raises:
            BudgetError: the scope is 8 runs deep already, or the call that would start a run was given up.
        """
        if self.depth >= DEEPEST:
            raise BudgetError(
                f"run {self.run_id!r} is the {self.depth}th inside one another; at most {DEEPEST} are accepted"
            )
        if self.inner.standing == "left":
            raise BudgetError(f"the call of run {self.run_id!r} that starts another run was given up before")
        task, turn = asyncio.current_task(), self.inner.turn
        if task is None:  # pragma: no cover - a coroutine that is driven without a loop
            raise BudgetError(f"run {self.run_id!r} cannot hold a run that is no task of an event loop")
        if turn is not None:
            turn.lend()
        self.inner.under_way.add(task)
        is_cancelled = False
        try:
            yield
        except asyncio.CancelledError:
            is_cancelled = True
            raise
        finally:
            self.inner.under_way.discard(task)
            if turn is not None and not is_cancelled:
                await self._take_back(turn)

    async def _take_back(self, turn: Turn) -> None:
        """Take the turn back once nothing is under way inside; what began meanwhile gets it again."""
        if not self.inner.under_way:
            await turn.take_back()
            if self.inner.under_way:
                turn.lend()


_CURRENT: ContextVar[RunScope | None] = ContextVar("agentmesh_run_scope", default=None)


def current_scope() -> RunScope | None:
    """Return the scope that a run started here would be part of, ``None`` where it would be on its own.

    What outlives the call that started it (a worker in the background) is on its own once that call has ended well.
    """
    scope = _CURRENT.get()
    return None if scope is None or scope.inner.standing == "ended" else scope


@contextmanager
def entered(scope: RunScope) -> Iterator[None]:
    """Make runs that are started here part of ``scope``."""
    token = _CURRENT.set(scope)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def begin_scope(run_id: RunId, limits: Limits, clock: Clock, outer: RunScope | None) -> RunScope:
    """Return the scope of a run that begins: its own limits, and no more than is left of the run around it."""
    times = [] if limits.timeout_s is None else [limits.timeout_s]
    left = None if outer is None else outer.left_s()
    if left is not None:
        times.append(left)
    return RunScope(
        run_id=run_id,
        budget=Budget(limits, outer=None if outer is None else outer.budget),
        deadline=clock.monotonic() + min(times) if times else None,
        clock=clock,
        outer=outer,
    )
