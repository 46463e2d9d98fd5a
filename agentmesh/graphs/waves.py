"""Who of a run is asked next: all that were chosen or a team's waves, then those who stand in where nobody helped.

Last come the rounds of a team, in which agents whose answers differ are asked again. All of it is pure, so that a
replay repeats it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from agentmesh.graphs.checking import Rejected
from agentmesh.graphs.equality import Grouped
from agentmesh.graphs.team import Team, Wave, next_wave
from agentmesh.records import AgentCall, CallStatus, Limits, RouteDecision
from agentmesh.types import AgentId


@dataclass(frozen=True, slots=True)
class SoFar:
    """What a run has come to. ``rejected`` are the answers that did not pass a check, by agent and wave.

    ``stand_ins`` are the agents that may act and were not chosen, the best first. ``equal`` says which
    answers of a team are the same.
    """

    decision: RouteDecision
    limits: Limits
    team: Team | None
    stand_ins: tuple[AgentId, ...]
    calls: tuple[AgentCall, ...] = ()
    rejected: Rejected = field(default_factory=dict)
    equal: Grouped = field(default_factory=Grouped)

    def has_helped(self) -> bool:
        """Return whether there is an answer that passed the checks."""
        return any(map(_answered, standing(self.calls, self.rejected)))


def following(so_far: SoFar) -> Wave:
    """Return the next wave; one without agents ends the run.

    A wave that needs no explanation, since all that were chosen are asked at once, has no reason and is no event.
    """
    if so_far.team is not None and so_far.decision.selected:
        return _of_team(so_far.team, so_far)
    if not so_far.calls:
        return Wave(tuple(chosen.agent_id for chosen in so_far.decision.selected), "")
    return _stand_in(so_far)


def standing(calls: Iterable[AgentCall], rejected: Rejected) -> tuple[AgentCall, ...]:
    """Return calls without the answers that did not pass a check."""
    return tuple(
        call.model_copy(update={"answer": None}) if (call.agent_id, call.wave) in rejected else call for call in calls
    )


def last_answers(calls: Iterable[AgentCall]) -> dict[AgentId, str]:
    """Return the last answer of each agent that says something, in the order in which they were first asked."""
    said = [(call.agent_id, call.answer.text) for call in calls if _answered(call) and call.answer is not None]
    return {agent_id: text for agent_id, text in said if text.strip()}


def _of_team(team: Team, so_far: SoFar) -> Wave:
    calls = standing(so_far.calls, so_far.rejected)
    wave = next_wave(team, so_far.decision, calls, so_far.equal.numbers)
    rounds = _rounds(calls)
    if wave.agents and not rounds:
        return wave
    standing_in = _stand_in(so_far)
    if standing_in.agents:
        return standing_in
    return wave if team.rounds == 0 else _round(team, so_far, rounds, wave.agreement) or wave


def _rounds(calls: Iterable[AgentCall]) -> int:
    """Return in how many waves agents were asked that had been asked before."""
    first: dict[AgentId, int] = {}
    again = {call.wave for call in calls if first.setdefault(call.agent_id, call.wave) != call.wave}
    return len(again)


def _round(team: Team, so_far: SoFar, rounds: int, agreement: float | None) -> Wave | None:
    """Return the next round or why there is none any more, ``None`` where none was needed at all."""
    calls = standing(so_far.calls, so_far.rejected)
    if len(so_far.equal.groups) < 2:
        return Wave((), "the answers agree now", agreement) if rounds else None
    if agreement is not None and agreement >= team.stop:
        return Wave((), f"the agreement of {agreement:.3f} reaches {team.stop:.3f}", agreement)
    if rounds >= team.rounds:
        return Wave((), f"the answers differ after {rounds} of {team.rounds} rounds", agreement)
    if rounds and not _changed(team, calls):
        return Wave((), "nobody changed an answer", agreement)
    why = f"the answers differ; round {rounds + 1} of {team.rounds} shows everybody those of the others"
    return Wave(tuple(last_answers(calls)), why, agreement, kind="round")


def _changed(team: Team, calls: tuple[AgentCall, ...]) -> bool:
    last = max(call.wave for call in calls)
    before = last_answers(call for call in calls if call.wave < last)
    return any(team.key(before[name]) != team.key(text) for name, text in last_answers(calls).items())


def _stand_in(so_far: SoFar) -> Wave:
    """Return the best agent that was not asked yet, where nobody has helped and the limits allow another."""
    if so_far.has_helped() or not so_far.calls:
        return Wave((), "")
    asked = {call.agent_id for call in so_far.calls}
    left = [agent_id for agent_id in so_far.stand_ins if agent_id not in asked]
    last = max(call.wave for call in so_far.calls)
    waves = [[call for call in so_far.calls if call.wave == wave] for wave in range(1, last + 1)]
    turned_down = [any(map(_answered, calls)) for calls in waves]
    allowed = so_far.limits.replans if turned_down[-1] else so_far.limits.fallbacks
    stood_in = [any(call.agent_id in so_far.stand_ins for call in calls) for calls in waves]
    alike = [before is turned_down[-1] for before, standing in zip(turned_down, stood_in[1:], strict=False) if standing]
    if not left or sum(alike) >= allowed:  # those that stood in for the same reason
        return Wave((), "")
    why = "no answer passed the checks" if turned_down[-1] else "nobody gave an answer"
    return Wave((left[0],), f"{why}; the next best stands in", kind="stand_in")


def _answered(call: AgentCall) -> bool:
    return call.status is CallStatus.OK and call.answer is not None
