"""Who of a run is asked next: all that were chosen or a team's waves, then those who stand in where nobody helped."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from agentmesh.graphs.team import Team, Wave, next_wave
from agentmesh.records import AgentCall, CallStatus, Limits, RouteDecision
from agentmesh.types import AgentId


@dataclass(frozen=True, slots=True)
class SoFar:
    """What a run has come to. ``rejected`` are the answers that did not pass a check, by agent and wave.

    ``stand_ins`` are the agents that may act and were not chosen, the best first. ``groups`` says by a number which
    answers of a team are the same.
    """

    decision: RouteDecision
    limits: Limits
    team: Team | None
    stand_ins: tuple[AgentId, ...]
    calls: tuple[AgentCall, ...] = ()
    rejected: Collection[tuple[AgentId, int]] = ()
    groups: Mapping[AgentId, int] = field(default_factory=dict)

    def has_helped(self) -> bool:
        """Return whether there is an answer that passed the checks."""
        return any(_answered(call) and (call.agent_id, call.wave) not in self.rejected for call in self.calls)


def following(so_far: SoFar) -> Wave:
    """Return the next wave; one without agents ends the run. Pure, so that a replay repeats it.

    A wave that needs no explanation, since all that were chosen are asked at once, has no reason and is no event.
    """
    if so_far.team is not None and so_far.decision.selected:
        wave = next_wave(so_far.team, so_far.decision, so_far.calls, so_far.groups)
        if wave.agents:
            return wave
        standing_in = _stand_in(so_far)
        return standing_in if standing_in.agents else wave
    if not so_far.calls:
        return Wave(tuple(chosen.agent_id for chosen in so_far.decision.selected), "")
    return _stand_in(so_far)


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
    return Wave((left[0],), f"{why}; the next best stands in")


def _answered(call: AgentCall) -> bool:
    return call.status is CallStatus.OK and call.answer is not None
