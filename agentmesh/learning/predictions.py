"""What routers expected of the agents that were asked, beside what their answers turned out to be worth."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agentmesh.errors import RunNotFoundError
from agentmesh.events import DecisionMade
from agentmesh.learning.measured import mean_quality
from agentmesh.records import Experience, RouteDecision
from agentmesh.store.base import TraceStore
from agentmesh.types import AgentId, Clock, RunId, SystemClock

NEWEST: Final = 2000
"""Outcomes that are looked at: enough for ten bins, and read in seconds."""

LONGEST_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer that was scored: who decided, at which parameters, what was expected of the agent, what it was worth.

    ``expected`` is ``None`` where the decision names no expected quality of this agent.
    """

    router: str
    parameters: str
    run_id: RunId
    agent_id: AgentId
    expected: float | None
    score: float


@dataclass(frozen=True, slots=True)
class Predictions:
    """Scored answers, the newest first; ``pruned`` runs are no longer stored, ``unread`` ones took too long."""

    found: tuple[Prediction, ...] = ()
    pruned: int = 0
    unread: int = 0


def newest_predictions(
    store: TraceStore,
    *,
    limit: int = NEWEST,
    longest_s: float = LONGEST_S,
    goes_on: Callable[[], bool] = lambda: True,
    clock: Clock | None = None,
) -> Predictions:
    """Read what was expected of the newest answers that were learned from.

    Scores of several sources on one answer become one, their mean by weight. A run that was forked or goes on counts
    by its first decision, as learning has it.

    Args:
        store: Where they are kept.
        limit: The most outcomes to look at.
        longest_s: Seconds after which no further run is read.
        goes_on: Asked before each run whether anybody still waits.
        clock: Tells how much time has gone by; the machine's by default.

    Raises:
        StoreError: the store cannot be read.
    """
    told_by = clock or SystemClock()
    until_s = told_by.monotonic() + longest_s
    answers = _answers(store.experiences(max(store.last_experience() - limit, 0)))
    found: list[Prediction] = []
    pruned = 0
    for place, (run_id, scored) in enumerate(answers.items()):
        if not goes_on() or told_by.monotonic() > until_s:
            return Predictions(tuple(found), pruned, unread=len(answers) - place)
        try:
            events = store.events(run_id)
        except RunNotFoundError:
            pruned += 1
            continue
        decided = next((event.decision for event in events if isinstance(event, DecisionMade)), None)
        if decided is not None:
            found += [_prediction(decided, run_id, agent_id, scores) for agent_id, scores in scored.items()]
    return Predictions(tuple(found), pruned)


def _answers(experiences: Iterable[Experience]) -> dict[RunId, dict[AgentId, list[Experience]]]:
    """Return the scores of each agent of each run, the newest run first."""
    found: dict[RunId, dict[AgentId, list[Experience]]] = {}
    for one in experiences:
        found.setdefault(one.run_id, {}).setdefault(one.agent_id, []).append(one)
    return dict(reversed(found.items()))


def _prediction(decision: RouteDecision, run_id: RunId, agent_id: AgentId, scores: Sequence[Experience]) -> Prediction:
    expected = next((one.expected_quality for one in decision.candidates if one.agent_id == agent_id), None)
    parameters = decision.router_version.partition("@")[0]
    return Prediction(decision.router, parameters, run_id, agent_id, expected, mean_quality(scores))
