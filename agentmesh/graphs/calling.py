"""One attempt at one agent: what is asked for, who makes it happen, and how it ends."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from agentmesh.agents.base import ask
from agentmesh.agents.registry import Registry
from agentmesh.errors import AgentOutputError, BudgetError, LlmError, ReplayMissError
from agentmesh.events import CallFinished
from agentmesh.graphs.limits import actual_usd
from agentmesh.graphs.log import RunLog, named
from agentmesh.graphs.patience import LeftBehind, Patience
from agentmesh.graphs.scope import Inner, RunScope, entered
from agentmesh.graphs.turns import Turn
from agentmesh.records import AgentCall, AgentCard, Answer, CallStatus, Task
from agentmesh.types import Clock


@dataclass(frozen=True, slots=True)
class CallRequest:
    """One attempt at one agent.

    ``timeout_s`` is what this attempt may take, and ``idle_timeout_s`` what may pass in it without a sign of life;
    ``None`` is any time. ``scope`` is the run that it is part of, and ``turn`` the place that it holds.
    """

    card: AgentCard
    task: Task
    attempt: int
    wave: int
    timeout_s: float | None
    idle_timeout_s: float | None = None
    scope: RunScope | None = None
    turn: Turn | None = None


class Caller(Protocol):
    """Makes a call happen: for real, or out of a recording. A failed call is a value, not an exception."""

    async def call(self, request: CallRequest, log: RunLog) -> AgentCall:
        """Return the call as it ended."""
        ...

    async def wait(self, card: AgentCard, attempt: int, seconds: float, deadline: float | None) -> bool:
        """Wait after a failed attempt, and say whether there is time for another one."""
        ...


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a call ended, before it is known what it cost."""

    status: CallStatus
    answer: Answer | None = None
    error: str | None = None
    retryable: bool = False


@dataclass(slots=True)
class LiveCaller:
    """Calls registered agents, each in a task of its own, so that one that cannot be stopped holds nobody up."""

    registry: Registry
    clock: Clock
    left: LeftBehind = field(default_factory=LeftBehind)

    async def call(self, request: CallRequest, log: RunLog) -> AgentCall:
        """Run the agent; every failure of it ends up in the call that is returned.

        A call that is cancelled is told to the log first, with what the runs inside it cost.
        """
        patience = Patience(request.timeout_s, request.idle_timeout_s)
        inner = Inner(turn=request.turn, sign=_signing(patience, request.scope))
        begun = self.clock.monotonic()
        running = self._start(request, log, patience, inner)
        try:
            late = await patience.outlast(running)
            patience.is_over, took_s = True, self._since(begun)
            await self._part(running, inner, ended=late is None)
        except asyncio.CancelledError:
            patience.is_over, took_s = True, self._since(begun)
            try:
                await self._part(running, inner, ended=False)
            finally:
                cancelled = _Ending(CallStatus.CANCELLED, error="cancelled")
                log.post(CallFinished, call=self._told(request, cancelled, inner, took_s))
            raise
        ending = _ending(running) if late is None else _Ending(CallStatus.TIMED_OUT, error=late, retryable=True)
        return self._told(request, ending, inner, took_s)

    async def wait(self, card: AgentCard, attempt: int, seconds: float, deadline: float | None) -> bool:  # noqa: ARG002 - the seam's signature
        """Sleep, unless the deadline would pass meanwhile."""
        if deadline is not None and self.clock.monotonic() + seconds >= deadline:
            return False
        await asyncio.sleep(seconds)
        return True

    async def aclose(self) -> None:
        """Wait a little for calls that did not end when they were told to."""
        await self.left.aclose()

    def _start(self, request: CallRequest, log: RunLog, patience: Patience, inner: Inner) -> asyncio.Task[Answer]:
        """Begin the call in a task of its own; it is awaited, or kept among those that were left."""
        loop, answer = asyncio.get_running_loop(), self._answer(request, log, patience)
        name = f"call of agent {request.card.id!r} in run {log.run_id!r}"
        if request.scope is None:
            return loop.create_task(answer, name=name)
        with entered(request.scope.for_call(inner, timeout_s=request.timeout_s)):
            return loop.create_task(answer, name=name)

    async def _answer(self, request: CallRequest, log: RunLog, patience: Patience) -> Answer:
        agent = self.registry.get(request.card.id)

        def on_text(text: str) -> None:
            if not patience.is_over:  # what comes after its time is nobody's
                patience.sign()
                log.chunk(request.card.id, text)

        is_heard = log.is_watched or request.idle_timeout_s is not None
        return await ask(agent, request.task, on_text=on_text if is_heard else None)

    async def _part(self, running: asyncio.Task[Answer], inner: Inner, *, ended: bool) -> None:
        """See that nothing goes on that the call started, itself among it unless it has ended."""
        inner.standing = "ended" if ended else "left"
        if not ended or inner.under_way:
            await self.left.leave(running, inner.under_way)

    def _since(self, begun: float) -> float:
        return max(self.clock.monotonic() - begun, 0.0)

    def _told(self, request: CallRequest, ending: _Ending, inner: Inner, took_s: float) -> AgentCall:
        own = actual_usd(request.card, ending.answer)
        return AgentCall(
            agent_id=request.card.id,
            agent_version=request.card.version,
            attempt=request.attempt,
            wave=request.wave,
            status=ending.status,
            answer=ending.answer,
            cost_usd=None if own is None or inner.usd is None else own + inner.usd,
            nested_usd=inner.usd,
            latency_s=took_s,
            error=ending.error,
            retryable=ending.retryable,
        )


def _signing(patience: Patience, scope: RunScope | None) -> Callable[[], None] | None:
    """Return what is told when something happens in a run inside the call, ``None`` where nobody wants to know."""
    outer = None if scope is None else scope.wanted_sign()
    if outer is None:
        return None if patience.idle_timeout_s is None else patience.sign

    def sign() -> None:
        patience.sign()
        outer()

    return sign


def _ending(running: asyncio.Task[Answer]) -> _Ending:
    """Return how an agent ended that ended by itself.

    Raises:
        KeyboardInterrupt, SystemExit: it raised one of them; they are not the agent's to keep.
    """
    if running.cancelled():
        return _Ending(CallStatus.FAILED, error="CancelledError: the agent cancelled itself", retryable=True)
    failure = running.exception()
    if failure is None:
        return _Ending(CallStatus.OK, running.result())
    if isinstance(failure, KeyboardInterrupt | SystemExit):
        raise failure
    return _Ending(CallStatus.FAILED, error=named(failure), retryable=_is_retryable(failure))


def _is_retryable(failure: BaseException) -> bool:
    if isinstance(failure, LlmError):
        return failure.retryable
    return not isinstance(failure, AgentOutputError | BudgetError | ReplayMissError)
