"""What came of agents on tasks, drawn from stored runs: only what was seen, one outcome a text and agent.

An agent's quality is the mean score of the best source that scored it: by rule, by a user, by a judge. A score of the
final answer is the agent's where it alone was asked; of several it would be known of the winners only. An agent that
was asked and gave no answer is worth 0. Runs of the same text are one task, and the newest scored call of an agent is
what is known of it: so no text stands on both sides of a split.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from agentmesh.events import CallFinished, Event, FeedbackGiven, RunFinished, RunStarted, total_cost
from agentmesh.judging.sources import best_score
from agentmesh.recorded.lines import Split
from agentmesh.records import AgentCall, AgentCard, CallStatus, Feedback
from agentmesh.types import AgentId, RunId

_SILENT: Final = frozenset({CallStatus.FAILED, CallStatus.TIMED_OUT})
"""How a call ends that was made and brought no answer."""

_UNSEEN: Final = frozenset({CallStatus.REFUSED, CallStatus.CANCELLED})
"""How a call ends that says nothing of its agent."""

_VAL, _TEST = 0.1, 0.2
"""Shares of the tasks, the newest for testing, as in the sets that ship; the rest is to fit on."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of an agent on a task; ``None`` is not known."""

    quality: float
    cost_usd: float | None
    input_tokens: int | None
    output_tokens: int | None
    latency_s: float
    answer: str | None


@dataclass(slots=True)
class SeenTask:
    """A text, the first run of it, and what came of the agents that were asked."""

    id: RunId
    text: str
    group: str
    outcomes: dict[AgentId, Seen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeenTasks:
    """Tasks in the order of their first runs, and the cards of the agents that anything is known of, by id."""

    tasks: tuple[SeenTask, ...]
    cards: tuple[AgentCard, ...]

    @property
    def known(self) -> int:
        """Return how many outcomes are known, of as many as there are tasks times agents."""
        return sum(len(task.outcomes) for task in self.tasks)

    def complete(self) -> "SeenTasks":
        """Return the tasks on which the outcome of every agent is known."""
        return SeenTasks(tuple(task for task in self.tasks if len(task.outcomes) == len(self.cards)), self.cards)

    def splits(self) -> tuple[Split, ...]:
        """Return the split of each task, by time: the oldest are to fit on, the newest to test on.

        Fewer than three tasks cannot be split, and are all of one.
        """
        count = len(self.tasks)
        test, val = max(1, round(_TEST * count)), max(1, round(_VAL * count))
        of_each: dict[Split, int] = {"train": count - val - test, "val": val, "test": test}
        if count < len(of_each):
            of_each = {"all": count}
        return tuple(split for split, size in of_each.items() for _ in range(size))


def seen_tasks(traces: Iterable[Sequence[Event]], cards: Sequence[AgentCard]) -> SeenTasks:
    """Gather what came of agents on tasks.

    Args:
        traces: The events of runs, the oldest run first.
        cards: The agents as they are now; what came of earlier versions of them is left out.
    """
    versions = {card.id: card.version for card in cards}
    tasks: dict[str, SeenTask] = {}
    for events in traces:
        started = next((event for event in events if isinstance(event, RunStarted)), None)
        found = _outcomes(events, versions)
        if started is None or not found:
            continue
        asked = started.task
        fresh = SeenTask(started.run_id, asked.text, asked.type_hints[0] if asked.type_hints else "")
        tasks.setdefault(asked.text, fresh).outcomes.update(found)
    of_any = {agent_id for task in tasks.values() for agent_id in task.outcomes}
    return SeenTasks(tuple(tasks.values()), tuple(card for card in cards if card.id in of_any))


def _outcomes(events: Sequence[Event], versions: dict[AgentId, int]) -> dict[AgentId, Seen]:
    if not any(isinstance(event, RunFinished) for event in events):
        return {}
    calls: dict[AgentId, list[AgentCall]] = {}
    for event in events:
        if isinstance(event, CallFinished):
            calls.setdefault(event.call.agent_id, []).append(event.call)
    scores = [event.feedback for event in events if isinstance(event, FeedbackGiven)]
    found = {}
    for agent_id, mine in calls.items():
        of_it = [one for one in scores if one.agent_id == agent_id or (one.agent_id is None and len(calls) == 1)]
        outcome = _outcome(mine, of_it)
        if outcome is not None and mine[-1].agent_version == versions.get(agent_id):
            found[agent_id] = outcome
    return found


def _outcome(calls: Sequence[AgentCall], scores: Sequence[Feedback]) -> Seen | None:
    last, quality = calls[-1], best_score(scores)
    if last.status in _UNSEEN:
        return None
    if quality is None and last.status in _SILENT:
        quality = 0.0
    if quality is None:
        return None
    cost = total_cost(calls)
    usage = last.answer.usage if last.answer else None
    return Seen(
        quality=quality,
        cost_usd=None if cost is None else float(cost),
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        latency_s=sum(call.latency_s for call in calls),
        answer=last.answer.text if last.answer else None,
    )
