"""What is to be otherwise in a fork, and whether it fits the place where the run is forked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from agentmesh.agents.registry import Registry
from agentmesh.errors import ConfigError
from agentmesh.events import AnswerChecked, CallFinished, DecisionMade, Event, RunResumed, RunStarted
from agentmesh.graphs.continuing import Past
from agentmesh.graphs.cutting import spans
from agentmesh.graphs.edge import Edge
from agentmesh.graphs.intake import as_task
from agentmesh.graphs.limits import overlay
from agentmesh.graphs.place import Fork
from agentmesh.graphs.state import Services
from agentmesh.records import AgentCall, Answer, CallStatus, Limits, Task
from agentmesh.routing.serving import ServingRouter
from agentmesh.types import AgentId, RunId


@dataclass(frozen=True, slots=True)
class Changes:
    """What a fork is told to do otherwise than the run it comes from; nothing, by default.

    Args:
        text: The text of the task; only where nothing stands yet.
        agents: Who acts, by a person's word; only where nothing was decided yet.
        router: Who decides in place of the mesh's router; only where nothing was decided yet.
        limits: Fields that are set here stand above those of the run.
        answers: What agents are taken to have said in the last wave that stands.
    """

    text: str | None = None
    agents: tuple[AgentId, ...] = ()
    router: ServingRouter | None = None
    limits: Limits | None = None
    answers: Mapping[AgentId, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what does not depend on the run.

        Raises:
            ConfigError: an agent is named twice, two things say who acts, or a text cannot be stored.
        """
        if len(set(self.agents)) != len(self.agents):
            raise ConfigError(f"the agents are {self.agents!r}; name each once")
        if self.agents and self.router is not None:
            raise ConfigError("agents named by hand and a router were given; only one of them can say who acts")
        for agent_id, text in self.answers.items():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise ConfigError(f"the answer given for {agent_id!r} is no Unicode text: {error.reason}") from error

    @property
    def named(self) -> tuple[str, ...]:
        """Return what is changed, as a trace tells it; texts are told where they stand."""
        told = ["text"] if self.text is not None else []
        told += [f"agents={','.join(self.agents)}"] if self.agents else []
        told += [f"router={self.router.router.name}"] if self.router is not None else []
        if self.limits is not None:
            names = (name for name in Limits.model_fields if name in self.limits.model_fields_set)
            told += [f"limits.{name}={getattr(self.limits, name)}" for name in names]
        return (*told, *(f"answer:{agent_id}" for agent_id in self.answers))

    def task_of(self, task: Task, at: int) -> Task:
        """Return the task of a fork at event ``at``.

        Raises:
            ConfigError: it is to be another one, and not all that follows from it is done anew; or it cannot be used.
        """
        if self.text is None:
            return task
        if at:
            raise ConfigError(f"everything rests on the text of the task; it can be set in a fork at 0, not at {at}")
        return as_task(task.model_copy(update={"text": self.text}))

    def limits_of(self, limits: Limits) -> Limits:
        """Return the limits of the fork of a run; agents named by hand may all act."""
        merged = overlay(limits, self.limits)
        if len(self.agents) <= (merged.max_agents or 1):
            return merged
        return merged.model_copy(update={"max_agents": len(self.agents)})

    def services(self, live: Services) -> Services:
        """Return the live parts with who decides in their place."""
        return replace(live, by_hand=self.agents, serving=self.router or live.serving)

    def hidden(self, edge: Edge) -> "Changes":
        """Return the changes as the run sees them: placeholders stand for secrets."""
        return replace(self, answers={agent_id: edge.hidden(text) for agent_id, text in self.answers.items()})

    def check_agents(self, registry: Registry) -> None:
        """See that whoever is named by hand is registered.

        Raises:
            ConfigError: somebody is not.
        """
        for agent_id in self.agents:
            if agent_id not in registry:
                known = ", ".join(repr(card.id) for card in registry.cards())
                raise ConfigError(f"agent {agent_id!r} is not registered; registered are {known}")

    def prefix(self, past: Past, at: int) -> tuple[Event, ...]:
        """Return what a fork takes over of a run: its events before ``at``, with the answers that were given.

        What was checked of an answer in whose place another stands is left out, so that this one is checked.

        Raises:
            ConfigError: something that is to be changed stands already, or there is no such answer.
        """
        taken = past.events[:at]
        decided = next((event for event in taken if isinstance(event, DecisionMade)), None)
        if decided is not None:
            self._check_decided(past, decided.seq)
        self._check_waves(past, taken)
        last = {agent_id: self._call(agent_id, taken) for agent_id in self.answers}
        kept = (self._replaced(event, last) for event in taken if not _is_check_of(event, last))
        return tuple(event.model_copy(update={"seq": seq}) for seq, event in enumerate(kept))

    def started(self, started: RunStarted, fork: Fork, *, parent: RunId | None) -> RunStarted:
        """Return how the fork began: as the run it comes from did, but for what is changed, and part of no workflow."""
        changed = {
            "limits": self.limits_of(started.limits),
            "router": started.router if self.router is None else self.router.router.name,
            "parent": parent,
            "stage": "",
            "forked": fork.run_id,
            "forked_at": fork.at,
            "changed": fork.changed,
        }
        return started.model_copy(update=changed)

    def _check_decided(self, past: Past, seq: int) -> None:
        """See that nothing is changed that the decision, which stands, was made on."""
        given = [name for name, value in (("agents", self.agents), ("router", self.router)) if value]
        most = past.started.limits.max_agents
        if self.limits is not None and "max_agents" in self.limits.model_fields_set and self.limits.max_agents != most:
            given.append("limits.max_agents")
        if given:
            raise ConfigError(
                f"who acts was decided in event {seq} of run {past.started.run_id!r}; "
                f"fork at {seq} or before to set {' and '.join(given)}"
            )

    def _check_waves(self, past: Past, taken: Sequence[Event]) -> None:
        """See that who stood in, in a wave that stands, may still do so."""
        limits, first = self.limits_of(past.started.limits), [event for event in taken if _is_in_later_wave(event)]
        for name in ("fallbacks", "replans") if first else ():
            then = getattr(past.started.limits, name)
            if getattr(limits, name) < then:
                raise ConfigError(
                    f"limits.{name} is {getattr(limits, name)} and was {then} when wave 2 was asked; "
                    f"fork at {first[0].seq} or before to lower it"
                )

    def _call(self, agent_id: AgentId, taken: Sequence[Event]) -> CallFinished:
        """Return the last call of an agent, in the last wave that stands."""
        calls = [event for event in taken if isinstance(event, CallFinished) and event.call.agent_id == agent_id]
        if not calls or calls[-1].call.status is CallStatus.REFUSED:
            named = {event.call.agent_id: None for event in taken if isinstance(event, CallFinished)}
            raise ConfigError(
                f"no answer of {agent_id!r} stands before the place of the fork; "
                f"called by then were: {', '.join(map(repr, named)) or 'nobody'}"
            )
        _, behind = spans(taken)[calls[-1].call.wave]
        if any(not isinstance(event, RunResumed) for event in taken[behind:]):
            raise ConfigError(
                f"what follows from event {behind} on rests on the answer of {agent_id!r}; fork at {behind} to set it"
            )
        return calls[-1]

    def _replaced(self, event: Event, last: Mapping[AgentId, CallFinished]) -> Event:
        """Return an event with the answer that was given in place of the one that stands there, if any was."""
        if not isinstance(event, CallFinished) or event is not last.get(event.call.agent_id):
            return event
        return event.model_copy(update={"call": _saying(event.call, self.answers[event.call.agent_id])})


def _saying(call: AgentCall, text: str) -> AgentCall:
    """Return a call as if the agent had said this; what it used and cost stays."""
    usage = None if call.answer is None else call.answer.usage
    said = {"answer": Answer(text=text, usage=usage), "status": CallStatus.OK, "error": None, "retryable": False}
    return call.model_copy(update=said)


def _is_check_of(event: Event, last: Mapping[AgentId, CallFinished]) -> bool:
    if not isinstance(event, AnswerChecked) or event.before or event.agent_id not in last:
        return False
    return event.wave == last[event.agent_id].call.wave


def _is_in_later_wave(event: Event) -> bool:
    return isinstance(event, CallFinished) and event.call.wave > 1
