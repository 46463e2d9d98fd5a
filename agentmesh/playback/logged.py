"""Stored runs as a log of decisions: what each was routed on, who could have been asked, and what came of who was.

What came of an agent counts where it was among the first that were asked, so that no earlier answer had a say in it:

- **Quality** is the mean score of the best source that scored the agent: by rule, by a user, by a judge. A score of the
  final answer is the agent's where it alone was asked; of several it would be known of the winners only. An agent that
  was asked and gave no answer is worth 0.
- **Cost** is known with and without a score.
- **Chance** is the logged chance to be asked: of a single draw the probability, of a set the chance to be in it. In a
  team that asks in waves it is known only where the set was no draw at all.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, nan
from typing import Final

import numpy as np

from agentmesh.capture import why_not_whole
from agentmesh.errors import ConfigError, ReplayError
from agentmesh.events import (
    CallFinished,
    DecisionMade,
    Event,
    FeedbackGiven,
    RunFinished,
    RunStarted,
    TaskPrepared,
    total_cost,
)
from agentmesh.judging.sources import best_score
from agentmesh.learning.pools import Considered, as_recorded, pool_of_snapshot
from agentmesh.learning.reembedding import EmbedderOf
from agentmesh.packing import unpack_vector
from agentmesh.records import AgentCall, CallStatus, Feedback, RouteDecision
from agentmesh.routing.base import AgentPool, TaskFeatures
from agentmesh.routing.by_hand import BY_HAND
from agentmesh.routing.preference import PREFERENCES
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.types import AgentId, RunId

UNDECIDED: Final = "no decision was made"
UNFINISHED: Final = "not finished"
NOBODY: Final = "rules or gates left nobody"
NOT_DRAWN: Final = "forked after the decision, or decided by hand"
PRUNED: Final = "pruned"
OTHER_EMBEDDER: Final = "routed with another embedder"
NOT_WHOLE: Final = "what was asked is not kept"

PAGE: Final = 1000
"""Runs that are listed at a time."""

CERTAIN: Final = 1.0 - 1e-9
"""From here on a chance is 1: sums of chances may be off by as much."""

SILENT: Final = frozenset({CallStatus.FAILED, CallStatus.TIMED_OUT})
"""How a call ends that was made and brought no answer."""

UNSEEN: Final = frozenset({CallStatus.REFUSED, CallStatus.CANCELLED})
"""How a call ends that says nothing of its agent."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What came of one agent in one run. NaN where it is not known."""

    quality: float = nan
    cost: float = nan
    latency: float = nan
    chance: float = nan


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """One stored run: what it was routed on, what was decided, and what came of those who were asked first."""

    run_id: RunId
    text: str
    started_at: float
    embedder: str
    considered: Considered
    decision: RouteDecision
    fallback: AgentId | None = None
    observed: Mapping[AgentId, Observed] = field(default_factory=dict)

    @property
    def chosen(self) -> tuple[AgentId, ...]:
        """Return who was chosen, first drawn first."""
        return tuple(choice.agent_id for choice in self.decision.selected)

    def chances(self) -> dict[AgentId, float]:
        """Return the chance of each agent to be drawn first; those without any are left out."""
        drawn = self.decision.probability_array()
        return {self.considered.pool.ids[place]: float(drawn[place]) for place in np.flatnonzero(drawn).tolist()}


@dataclass(frozen=True, slots=True)
class Log:
    """The runs of a time, the oldest first, all routed with one embedder; ``left_out`` says how many more, and why."""

    embedder: str
    runs: tuple[LoggedRun, ...]
    left_out: Mapping[str, int]


def read_log(
    store: TraceStore,
    *,
    since: float | None = None,
    until: float | None = None,
    limit: int | None = None,
    embedder: str | None = None,
) -> Log:
    """Read the runs that started within a time.

    Args:
        store: Where they are kept; nothing is written to it.
        since: Unix seconds of the first.
        until: Unix seconds before which they started.
        limit: Only this many, the newest.
        embedder: Only those routed with it; by default with that of the newest run.

    Raises:
        ConfigError: no run in this time can be decided again.
        StoreError: the store cannot be read.
    """
    reader = _Reader(store, embedder)
    runs: list[LoggedRun] = []
    for run_id in _run_ids(store, since=since, until=until):
        if limit is not None and len(runs) >= limit:
            break
        found = reader.read(run_id)
        if found is not None:
            runs.append(found)
    if limit is None or len(runs) < limit:
        reader.left_out[PRUNED] += sum(one.runs for one in store.prunings() if since is None or since < one.before)
    if not runs:
        raise ConfigError(f"{store.url!r} holds no run of that time that can be decided again{_told(+reader.left_out)}")
    return Log(reader.embedder or "", tuple(reversed(runs)), dict(+reader.left_out))


def _run_ids(store: TraceStore, *, since: float | None, until: float | None) -> Iterator[RunId]:
    """Yield the runs of a time, the newest first; one that moves on in the list as others start comes once."""
    where, before, seen, offset = RunFilter(since=since), inf if until is None else until, set[RunId](), 0
    while page := store.runs(where, limit=PAGE, offset=offset):
        for summary in page:
            if summary.started_at < before and summary.id not in seen:
                seen.add(summary.id)
                yield summary.id
        offset += len(page)


def _told(left_out: Mapping[str, int]) -> str:
    return "".join(f"; {count}: {why}" for why, count in left_out.items())


class _Reader:
    """Makes logged runs of traces; each stored registry is built once."""

    def __init__(self, store: TraceStore, embedder: str | None) -> None:
        self._store = store
        self._pools: dict[str, AgentPool] = {}
        self.embedder = embedder
        self.left_out: Counter[str] = Counter()

    def read(self, run_id: RunId) -> LoggedRun | None:
        """Return a run, or ``None`` and note why it is left out."""
        found = self._found(self._store.events(run_id))
        if isinstance(found, LoggedRun):
            return found
        self.left_out[found] += 1
        return None

    def _found(self, events: Sequence[Event]) -> LoggedRun | str:
        last = {type(event): event for event in events}
        started, prepared, decided = last.get(RunStarted), last.get(TaskPrepared), last.get(DecisionMade)
        if not (
            isinstance(started, RunStarted) and isinstance(prepared, TaskPrepared) and isinstance(decided, DecisionMade)
        ):
            return UNDECIDED
        if RunFinished not in last:
            return UNFINISHED
        if decided.seq < started.first_own or decided.decision.router == BY_HAND:
            return NOT_DRAWN
        if why_not_whole(started.capture, [started.model_dump_json()]):
            return NOT_WHOLE
        self.embedder = self.embedder or started.embedder
        if started.embedder != self.embedder:
            return OTHER_EMBEDDER
        return self._logged(started, prepared, decided.decision, events)

    def _logged(
        self, started: RunStarted, prepared: TaskPrepared, decision: RouteDecision, events: Sequence[Event]
    ) -> LoggedRun | str:
        pool = self._pool_at(decision.registry_version)
        vector, task = unpack_vector(prepared.vector), started.task
        features = TaskFeatures(vector=vector, text=task.text, type_hints=task.type_hints)
        considered = as_recorded(features, started, prepared, pool=pool, seed=decision.seed)
        if decision.router == PREFERENCES or not considered.pool.mask.any():
            return NOBODY
        if len(vector) != pool.vectors.shape[1] or len(decision.probability_array()) != len(pool):
            raise ReplayError(f"the decision of run {started.run_id!r} does not fit the agents that are stored with it")
        return LoggedRun(
            run_id=started.run_id,
            text=task.text,
            started_at=started.at,
            embedder=started.embedder,
            considered=considered,
            decision=decision,
            fallback=started.fallback,
            observed=observed_in(decision, events, in_waves=bool(started.team)),
        )

    def _pool_at(self, version: str) -> AgentPool:
        if version not in self._pools:
            snapshot = self._store.registry(version)
            self._pools[version] = pool_of_snapshot(snapshot, EmbedderOf(snapshot.embedder))
        return self._pools[version]


def observed_in(decision: RouteDecision, events: Sequence[Event], *, in_waves: bool) -> dict[AgentId, Observed]:
    """Return what came of those who were chosen and asked first.

    Args:
        decision: The decision of the run.
        events: The trace of the run.
        in_waves: Whether a team asked them, in waves.
    """
    chosen = {choice.agent_id for choice in decision.selected}
    called = [event.call for event in events if isinstance(event, CallFinished)]
    scores = [event.feedback for event in events if isinstance(event, FeedbackGiven)]
    alone = len({call.agent_id for call in called}) == 1
    found = {}
    for agent_id in dict.fromkeys(call.agent_id for call in called):
        mine = [call for call in called if call.agent_id == agent_id and call.wave == 1]
        if agent_id in chosen and mine and mine[-1].status not in UNSEEN:
            of_it = [one for one in scores if one.agent_id == agent_id or (alone and one.agent_id is None)]
            found[agent_id] = _observed(mine, of_it, chance=_chance(decision, agent_id, in_waves=in_waves))
    return found


def _observed(calls: Sequence[AgentCall], scores: Sequence[Feedback], *, chance: float) -> Observed:
    cost = total_cost(calls)
    scored = best_score(scores)
    silent = 0.0 if calls[-1].status in SILENT else nan
    return Observed(
        quality=silent if scored is None else scored,
        cost=nan if cost is None else float(cost),
        latency=sum(call.latency_s for call in calls),
        chance=chance,
    )


def _chance(decision: RouteDecision, agent_id: AgentId, *, in_waves: bool) -> float:
    """Return the logged chance that an agent is asked first, NaN where it is not known."""
    inclusion = {candidate.agent_id: candidate.inclusion for candidate in decision.candidates}
    if in_waves and len(decision.selected) > 1:
        drawn = [inclusion.get(choice.agent_id, nan) for choice in decision.selected]
        return 1.0 if min(drawn) >= CERTAIN else nan
    return inclusion.get(agent_id, nan)
