"""A circuit breaker for each agent: one that keeps failing is left alone for a while, then tried by one call."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import Field

from agentmesh.decisions import UNHEALTHY
from agentmesh.frozen import Record
from agentmesh.records import AgentCall, AgentCard, CallStatus
from agentmesh.routing.base import AgentPool
from agentmesh.types import AgentId, Clock, Rng

PATIENCE_S: Final = 10.0
"""An agent that a run's deadline cut off after less than this may have been about to answer: it is not blamed."""

JITTER: Final = 0.25
"""A cooldown is up to so much longer, so that agents behind one endpoint are not tried all at once."""


class Health(Record):
    """When an agent that fails is left alone.

    After ``failures`` calls in a row that failed or took too long, nobody calls the agent for ``cooldown_s`` seconds.
    Then one call at a time tries it: an answer ends the matter, and each further failure doubles the time, up to
    ``longest_s``. A changed agent begins anew. ``failures=None`` never leaves one alone.

    The defaults are careful: five failures in a row are no accident for an agent that is of any use (one that fails
    every other time has them once in 32 calls), and half a minute is soon over.
    """

    failures: int | None = Field(default=5, ge=1)
    cooldown_s: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    longest_s: float = Field(default=600.0, gt=0, allow_inf_nan=False)


@dataclass(slots=True)
class _Breaker:
    """One agent in one version. ``opened`` counts how often in a row it was found failing; 0 is healthy."""

    failures: int = 0
    opened: int = 0
    until: float = 0.0
    probing: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What was said as a call was about to begin: why it is not made, or whether it tries an agent that has failed."""

    refusal: str | None = None
    is_probe: bool = False


HEALTHY: Final = Trial()


class Breakers:
    """The health of all agents of a mesh. Only those that fail take any room.

    Args:
        health: When an agent is left alone.
        clock: What tells when its time is over.
        seed: Fixes the jitter.
    """

    def __init__(self, health: Health, clock: Clock, *, seed: int = 0) -> None:
        self._health = health
        self._clock = clock
        self._rng: Rng = np.random.default_rng(seed)
        self._breakers: dict[tuple[AgentId, int], _Breaker] = {}

    def refused(self, pool: AgentPool) -> dict[AgentId, str]:
        """Return the agents of a pool that are left alone now, and the gate that says so."""
        return {
            agent_id: UNHEALTHY
            for (agent_id, version), breaker in self._breakers.items()
            if breaker.opened
            and (breaker.probing or self._left_s(breaker) > 0)
            and (place := pool.index.get(agent_id)) is not None
            and int(pool.versions[place]) == version
        }

    def begin(self, card: AgentCard) -> Trial:
        """Say whether an agent may be called now; :meth:`note` is to be told how the call ends."""
        breaker = self._breakers.get((card.id, card.version))
        if breaker is None or not breaker.opened:
            return HEALTHY
        said = f"agent {card.id!r} is unhealthy: {breaker.failures} calls in a row failed"
        if breaker.probing:
            return Trial(f"{said}, and another call is trying it")
        left = self._left_s(breaker)
        if left > 0:
            return Trial(f"{said}; it is tried again in {left:.1f} s")
        breaker.probing = True
        return Trial(is_probe=True)

    def note(self, trial: Trial, card: AgentCard, call: AgentCall | None, *, hurried: bool = False) -> None:
        """Learn from a call that has ended; ``None`` is one of which nothing is known, as when it was cancelled.

        ``hurried`` says that the run's deadline left the agent little time.
        """
        key = (card.id, card.version)
        if call is not None and call.status is CallStatus.OK:
            self._breakers.pop(key, None)
            return
        breaker = self._breakers.get(key)
        if breaker is not None and trial.is_probe:
            breaker.probing = False
        if call is not None and self._health.failures is not None and _is_to_blame(call, hurried=hurried):
            self._failed(self._breakers.setdefault(key, _Breaker()), trial, self._health.failures)

    def _failed(self, breaker: _Breaker, trial: Trial, most: int) -> None:
        if breaker.opened and not trial.is_probe:
            return  # it was under way already as the agent was found failing
        breaker.failures += 1
        if breaker.failures >= most:
            breaker.until = self._clock.monotonic() + self._cooldown_s(breaker.opened)
            breaker.opened += 1

    def _cooldown_s(self, opened: int) -> float:
        """Return how long an agent is left alone that was found failing so often before."""
        usual = min(self._health.cooldown_s * 2.0 ** min(opened, 64), self._health.longest_s)
        return usual * (1 + JITTER * float(self._rng.random()))

    def _left_s(self, breaker: _Breaker) -> float:
        return breaker.until - self._clock.monotonic()


def _is_to_blame(call: AgentCall, *, hurried: bool) -> bool:
    if call.status is CallStatus.TIMED_OUT:
        return not hurried or call.latency_s >= PATIENCE_S
    return call.status is CallStatus.FAILED
