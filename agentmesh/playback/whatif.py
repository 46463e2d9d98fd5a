"""What if another router had decided? Stored tasks are decided again, and what that would have brought is estimated.

Nothing is called and nothing is written. Each task is decided as it was then: by its recorded vector, over the agents
that were registered, behind the gates, rules and load that were recorded. A router that draws counts with all its
chances. Everything is about the first agent: where several are asked, the value is that of the one drawn first.

:mod:`agentmesh.playback.logged` says what is known of a stored run, :mod:`agentmesh.playback.contenders` what keeps a
router from being judged on what it has learned, and :mod:`agentmesh.playback.estimates` how values are estimated.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from agentmesh.errors import ConfigError
from agentmesh.playback.contenders import Mode, States, states_of
from agentmesh.playback.estimates import Bounds, Measure, Table, best_alone, measured, told, valued
from agentmesh.playback.expected import cross_fitted
from agentmesh.playback.logged import read_log
from agentmesh.playback.redecided import Flip, Redecided, redecide
from agentmesh.records import Objective, Record
from agentmesh.routing.base import Router
from agentmesh.routing.objective import SCENARIOS, Scale, reward
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, FloatArray, MaskArray


class AgentShare(Record):
    """On how many tasks an agent was asked first, and how many the other router would ask it on, chances counted."""

    agent_id: AgentId
    done: int
    other: float


class Regret(Measure):
    """By how much the reward falls short of that of the one agent that would have been best for all, ``against``.

    ``logged`` is the regret of what was done. A gain below 0 is regret that is saved.
    """

    against: AgentId | None = None


class WhatIf(Record):
    """What another router would have done on stored tasks, and what that would have brought.

    ``agreement`` is the share of tasks on which it would have picked one of those who were chosen. ``judged`` tasks are
    those that its state has not seen; where there are none it is ``in_sample``, and nothing is estimated. ``why`` says
    what kept tasks from being judged. ``scenario`` is "recorded" where each task weighs what it did.
    """

    router: str
    version: str
    mode: Mode
    scenario: str
    first_at: float
    last_at: float
    tasks: int
    judged: int
    in_sample: bool
    why: str = ""
    agreement: float
    flips: tuple[Flip, ...] = ()
    agents: tuple[AgentShare, ...] = ()
    expected_cost_usd: float | None = None
    expected_latency_s: float | None = None
    measures: tuple[Measure, ...] = ()
    regret: Regret | None = None
    clip: float | None = None
    left_out: Mapping[str, int] = Field(default_factory=dict)

    def measure(self, name: str) -> Measure:
        """Return the measure called ``name``.

        Raises:
            ConfigError: there is none.
        """
        for one in self.measures:
            if one.name == name:
                return one
        raise ConfigError(f"nothing was measured as {name!r}; measured were: {[one.name for one in self.measures]!r}")


async def whatif(
    store: TraceStore,
    router: str | Router,
    *,
    since: float | None = None,
    until: float | None = None,
    scenario: str | Objective | None = None,
    limit: int | None = None,
    parameters: str | None = None,
    clip: float | None = None,
    seed: int = 0,
) -> WhatIf:
    """Decide stored tasks again by another router, and estimate what that would have brought.

    Args:
        store: Where the runs are; nothing is written to it.
        router: A name, a stored version such as ``"kernel@120"``, or a router of one's own.
        since: Unix seconds from which on runs count.
        until: Unix seconds before which they started.
        scenario: What a task is worth: ``"quality"``, ``"balanced"``, ``"cheap"`` or weights; by default what it was.
        limit: Only the newest so many.
        parameters: The hash of the router meant, where several of its name are stored.
        clip: The most that one outcome may weigh; by default there is no bound, which would be a bias.
        seed: Deals the runs into the parts of the outcome model.

    Raises:
        ConfigError: no run of that time can be decided again, or an argument cannot be used.
        PluginError: no entry point names the router.
        RoutingError: the router failed on a task.
        StoreError: the store cannot be read.
    """
    named, objective = _objective(scenario)
    if clip is not None and not clip > 0:
        raise ConfigError(f"clip is {clip!r}; give a weight above 0")

    def work() -> WhatIf:
        log = read_log(store, since=since, until=until, limit=limit)
        states = states_of(store, router, log, parameters=parameters)
        decided = redecide(log.runs, states.contenders, objective=objective)
        judged = [one for one, is_judged in zip(decided, states.judged.tolist(), strict=True) if is_judged]
        worth = _Worth(judged, objective, clip=clip, seed=seed) if judged else None
        return _told(states, decided, worth, scenario=named, left_out=log.left_out)

    return await asyncio.to_thread(work)


def _objective(scenario: str | Objective | None) -> tuple[str, Objective | None]:
    if scenario is None:
        return "recorded", None
    if isinstance(scenario, Objective):
        return "given", scenario
    if scenario not in SCENARIOS:
        raise ConfigError(f"there is no scenario {scenario!r}; accepted are {', '.join(map(repr, SCENARIOS))}")
    return scenario, SCENARIOS[scenario]


@dataclass(frozen=True, slots=True)
class _Arrays:
    """Decided runs as arrays, one column an agent. Shapes: allowed, quality, cost, latency (m, n)."""

    agents: tuple[AgentId, ...]
    table: Table
    allowed: MaskArray
    quality: FloatArray
    cost: FloatArray
    latency: FloatArray

    @classmethod
    def of(cls, decided: Sequence[Redecided]) -> "_Arrays":
        agents = tuple(sorted({agent_id for one in decided for agent_id in one.run.considered.pool.ids}))
        place = {agent_id: column for column, agent_id in enumerate(agents)}
        shape = (len(decided), len(agents))
        policy, chance = np.zeros(shape), np.zeros(shape)
        quality, cost, latency = np.full((3, *shape), np.nan)
        allowed, done = np.zeros(shape, dtype=np.bool_), np.full(len(decided), -1, dtype=np.int64)
        for row, one in enumerate(decided):
            pool = one.run.considered.pool
            allowed[row, [place[pool.ids[spot]] for spot in np.flatnonzero(pool.mask).tolist()]] = True
            for agent_id, share in one.chances.items():
                policy[row, place[agent_id]] = share
            for agent_id, share in one.run.chances().items():
                chance[row, place[agent_id]] = share
            for agent_id, seen in one.run.observed.items():
                spot = row, place[agent_id]
                chance[spot], quality[spot], cost[spot], latency[spot] = (
                    seen.chance,
                    seen.quality,
                    seen.cost,
                    seen.latency,
                )
            if one.run.chosen:
                done[row] = place[one.run.chosen[0]]
        return cls(agents, Table(policy, chance, done), allowed, quality, cost, latency)


class _Worth:
    """What judged runs brought, and what the other router would have."""

    def __init__(
        self, decided: Sequence[Redecided], objective: Objective | None, *, clip: float | None, seed: int
    ) -> None:
        self.clip, self._seed = clip, seed
        self._arrays = _Arrays.of(decided)
        self._vectors = np.stack([one.run.considered.features.vector for one in decided])
        self._objectives = [one.run.considered.objective if objective is None else objective for one in decided]

    def measures(self) -> tuple[Measure, ...]:
        arrays = self._arrays
        quality = self._measure("quality", arrays.quality, bounds=(0.0, 1.0))
        return quality, self._measure("cost_usd", arrays.cost)

    def _measure(self, name: str, outcomes: FloatArray, *, bounds: Bounds | None = None) -> Measure:
        expected = self._expected(outcomes)
        return measured(name, self._arrays.table, outcomes, expected, clip=self.clip, bounds=bounds)

    def _expected(self, outcomes: FloatArray) -> FloatArray:
        return cross_fitted(self._vectors, outcomes, seed=self._seed)

    def regret(self) -> Regret:
        arrays, rewards = self._arrays, self._rewards()
        expected = self._expected(rewards)
        base = measured("regret", arrays.table, rewards, expected, clip=self.clip)
        rest = {"name": "regret", "scored": base.scored, "unsupported": base.unsupported}
        best = None if base.refusal else best_alone(arrays.table, rewards, expected, arrays.allowed, clip=self.clip)
        if best is None:
            why = base.refusal or "no agent was asked often enough to say what it alone would have brought"
            return Regret(**rest, logged=None, refusal=why)
        column, alone = best
        others = {one.method: one for one in valued(arrays.table, rewards, expected, clip=self.clip)}
        short = [one.less(others[one.method]) for one in alone if one.method in others]
        logged = None if base.logged is None else alone[-1].value - base.logged
        return Regret(**rest, logged=logged, estimates=tuple(map(told, short)), against=arrays.agents[column])

    def _rewards(self) -> FloatArray:
        """Return what each known outcome was worth by the objective of its task, (m, n)."""
        arrays = self._arrays
        seen = np.isfinite(arrays.quality)
        scale = Scale.of(arrays.cost[seen], quality=arrays.quality[seen], latency=arrays.latency[seen])
        rewards = np.full(arrays.quality.shape, np.nan)
        for objective in dict.fromkeys(self._objectives):
            mine = seen & np.array([one == objective for one in self._objectives])[:, None]
            latency = arrays.latency[mine]
            rewards[mine] = reward(arrays.quality[mine], arrays.cost[mine], objective, scale, latency=latency)
        return rewards


def _told(
    states: States, decided: Sequence[Redecided], worth: _Worth | None, *, scenario: str, left_out: Mapping[str, int]
) -> WhatIf:
    return WhatIf(
        router=states.name,
        version=states.version,
        mode=states.mode,
        scenario=scenario,
        first_at=decided[0].run.started_at,
        last_at=decided[-1].run.started_at,
        tasks=len(decided),
        judged=int(states.judged.sum()),
        in_sample=worth is None,
        why=states.why,
        agreement=float(np.mean([one.agreement for one in decided])),
        flips=tuple(flip for one in decided if (flip := one.flip()) is not None),
        agents=_shares(decided),
        expected_cost_usd=_mean([one.expected_cost_usd for one in decided]),
        expected_latency_s=_mean([one.expected_latency_s for one in decided]),
        measures=() if worth is None else worth.measures(),
        regret=None if worth is None else worth.regret(),
        clip=None if worth is None else worth.clip,
        left_out=left_out,
    )


def _shares(decided: Sequence[Redecided]) -> tuple[AgentShare, ...]:
    done = Counter(one.run.chosen[0] for one in decided if one.run.chosen)
    other: dict[AgentId, float] = {}
    for one in decided:
        for agent_id, share in one.chances.items():
            other[agent_id] = other.get(agent_id, 0.0) + share
    shares = [
        AgentShare(agent_id=agent_id, done=done[agent_id], other=round(other.get(agent_id, 0.0), 6))
        for agent_id in done.keys() | other.keys()
    ]
    return tuple(sorted(shares, key=lambda share: (-share.other, -share.done, share.agent_id)))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
