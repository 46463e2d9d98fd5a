"""A mesh's own log as recorded tasks: the runs in which the same agents answered and were scored, whatever was said."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from agentmesh.bench.material import Part
from agentmesh.errors import StoreError
from agentmesh.events import CallFinished, Event, RunStarted
from agentmesh.graphs.team import TEAM, Team
from agentmesh.graphs.waves import last_answers
from agentmesh.learning.learner import log_of
from agentmesh.learning.pools import pool_of_log
from agentmesh.learning.reembedding import EmbedderOf
from agentmesh.learning.tables import TaskKey, table_of, task_key, tasks_of, usable
from agentmesh.recorded.outcomes import OutcomeTable
from agentmesh.recorded.reader import RecordedTask, Rows
from agentmesh.records import AgentCall, Experience
from agentmesh.routing.base import AgentPool, Outcomes, TaskFeatures
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, RunId

NEEDED: Final = 100
"""Runs that a team is fitted on at least: a vote of three agents alone has eleven weights."""


@dataclass(frozen=True, slots=True)
class Logged:
    """Tasks of a log with the agents that answered all of them, and the pool of these agents."""

    tasks: Part
    pool: AgentPool


def logged_answers(store: TraceStore, *, needed: int = NEEDED) -> Logged:
    """Return the tasks that the same agents answered and were scored on: of as many agents as have enough.

    An answer counts where its call was made whatever others had said: in a first wave, or by a team that asks all.
    Those that were asked because the others differed would show a team only the tasks that are hard.

    Raises:
        StoreError: there are fewer than ``needed`` runs with two such agents, or the store cannot be read.
    """
    log = list(log_of(store))
    embedder = log[-1].embedder if log else ""
    kept = [one for one in log if one.embedder == embedder and not one.stage and one.cost_usd is not None]
    pool = pool_of_log(store, kept, EmbedderOf(embedder)) if kept else None
    said = _Answers(store)
    fair = [one for one in usable(kept, pool) if one.agent_id in said.of(one.run_id)]
    chosen, runs = _complete(fair, needed)
    if pool is None or len(chosen) < 2:
        raise StoreError(
            f"{store.url} holds {len(runs)} runs in which two agents answered whatever the other said and both were "
            f"scored, with their costs; a team needs {needed}: let runs ask several at once (Limits.max_agents, or a "
            "Team with stop=1) and score each answer"
        )
    rows = [one for one in fair if task_key(one) in runs and one.agent_id in chosen]
    fitted = pool_of_log(store, rows, EmbedderOf(embedder))
    return Logged(_part(table_of(rows, fitted), rows, said), fitted)


class _Answers:
    """Looks up what agents answered in a run, where they were asked whatever others had said."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store
        self._known: dict[RunId, Mapping[AgentId, str]] = {}
        self._asks_all: dict[str, bool] = {"": True}

    def of(self, run_id: RunId) -> Mapping[AgentId, str]:
        if run_id not in self._known:
            self._known[run_id] = last_answers(self._fair(self._store.events(run_id)))
        return self._known[run_id]

    def _fair(self, events: Sequence[Event]) -> Iterator[AgentCall]:
        started = next(event for event in events if isinstance(event, RunStarted))
        asks_all = self._all_are_asked(started.team)
        own = (event for event in events if event.seq >= started.first_own)
        calls = (event.call for event in own if isinstance(event, CallFinished))
        return (call for call in calls if asks_all or call.wave == 1)

    def _all_are_asked(self, name: str) -> bool:
        if name not in self._asks_all:
            stored = self._store.router_parameters(TEAM, name)
            team = None if stored is None else Team.model_validate_json(stored)
            self._asks_all[name] = team is not None and team.plan is None and team.stop >= 1
        return self._asks_all[name]


def _complete(fair: Sequence[Experience], needed: int) -> tuple[set[AgentId], set[TaskKey]]:
    """Return the agents, of those most often scored, that have enough tasks in common, and these tasks."""
    of_agent: dict[AgentId, set[TaskKey]] = {}
    for one in fair:
        of_agent.setdefault(one.agent_id, set()).add(task_key(one))
    ranked = sorted(of_agent, key=lambda name: (-len(of_agent[name]), name))
    for count in range(len(ranked), 1, -1):
        shared = set.intersection(*(of_agent[name] for name in ranked[:count]))
        if len(shared) >= needed:
            return set(ranked[:count]), shared
    two = [of_agent[name] for name in ranked[:2]]
    return set(), set.intersection(*two) if len(two) == 2 else set()


def _part(table: Outcomes, experiences: Sequence[Experience], said: _Answers) -> Part:
    firsts = tasks_of(experiences)
    answers = np.full(table.quality.shape, None, dtype=object)
    for row, first in enumerate(firsts.values()):
        known = said.of(first.run_id)
        answers[row] = [known.get(agent_id) for agent_id in table.agent_ids]
    empty = OutcomeTable.empty(*table.quality.shape)
    rows = Rows(
        split="all",
        agent_ids=table.agent_ids,
        tasks=tuple(RecordedTask(one.run_id, "all", one.text) for one in firsts.values()),
        groups=table.groups,
        labels=((),) * len(firsts),
        gold=(None,) * len(firsts),
        table=replace(empty, quality=table.quality, cost=table.cost, answers=answers),
    )
    features = tuple(
        TaskFeatures(vector=vector, text=one.text, type_hints=one.type_hints)
        for vector, one in zip(table.vectors, firsts.values(), strict=True)
    )
    return Part(rows, features, table.vectors)
