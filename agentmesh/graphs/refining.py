"""The last node of a run: one answer is made of those that passed the checks, within what is left of time and money."""

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from agentmesh.agents.refiner import Refined, VoteRefiner, WeightedAnswer
from agentmesh.errors import AgentOutputError
from agentmesh.events import AnswerRefined, WaveStarted
from agentmesh.graphs.checking import Rejected, rejections
from agentmesh.graphs.equality import Grouped
from agentmesh.graphs.limits import seconds_left
from agentmesh.graphs.log import named
from agentmesh.graphs.state import RunContext, RunState
from agentmesh.graphs.team import weighted
from agentmesh.graphs.waves import last_answers, standing
from agentmesh.records import AgentCall, CallStatus, Dropped, RouteDecision

STAND_IN_WEIGHT: Final = 1.0  # nobody else has answered where one stands in


async def refine(state: RunState, context: RunContext) -> RunState:
    """Make one answer of those that came and passed the checks; a run that goes on keeps the one it has made."""
    if context.log.earlier(AnswerRefined) is not None:
        return {}
    rejected = rejections(context.log.events)
    turned_down = _turned_down(state["calls"], rejected)
    calls = standing(state["calls"], rejected)
    answers = weighted_answers(state["decision"], calls)
    if answers:
        team = context.services.team
        if team is not None:
            waves = [event for event in context.log.events if isinstance(event, WaveStarted)]
            equal = Grouped(waves[-1].groups).numbers if waves else {}
            answers = weighted(team, state["decision"], calls, answers, equal)
        refined = await _refined(state, answers, context)
    elif turned_down:
        told = "; ".join(f"{one.agent_id} {one.why}" for one in turned_down)
        refined = Refined(answer=None, note=f"no answer passed the checks: {told}")
    else:
        return {}
    _post(refined, turned_down, context)
    return {}


def _post(refined: Refined, turned_down: Iterable[Dropped], context: RunContext) -> None:
    context.log.post(
        AnswerRefined,
        refiner=context.services.refiner.name,
        answer=refined.answer,
        answered_by=refined.answered_by,
        conflicts=refined.conflicts,
        agreed=refined.agreed,
        dropped=tuple(dict.fromkeys((*turned_down, *refined.dropped))),  # a recorded one holds what was turned down
        cost_usd=refined.cost_usd,
        note=refined.note,
    )


def _turned_down(calls: Iterable[AgentCall], rejected: Rejected) -> list[Dropped]:
    return [
        Dropped(agent_id=call.agent_id, text=call.answer.text, why=rejected[call.agent_id, call.wave])
        for call in calls
        if call.answer is not None and (call.agent_id, call.wave) in rejected
    ]


def weighted_answers(decision: RouteDecision, calls: Iterable[AgentCall]) -> list[WeightedAnswer]:
    """Return the last answer of each agent that gave one, with the weight that the router gave the agent."""
    weights = {selection.agent_id: selection.weight for selection in decision.selected}
    given = [call for call in calls if call.status is CallStatus.OK]
    texts = {call.agent_id: call.answer.text for call in given if call.answer is not None}
    return [
        WeightedAnswer(agent_id=agent_id, text=text, weight=weights.get(agent_id, STAND_IN_WEIGHT))
        for agent_id, text in {**texts, **last_answers(given)}.items()  # a blank one takes nothing back
    ]


async def _refined(state: RunState, answers: Sequence[WeightedAnswer], context: RunContext) -> Refined:
    """Ask the refiner if it fits what the run has left; whatever becomes of it, the vote stands."""
    refiner, task = context.services.refiner, state["task"]
    budget = context.scope.budget
    scope = asyncio.timeout(seconds_left(context.limits, context.deadline, context.services.clock.monotonic()))
    cost_usd: Decimal | None = Decimal(0)
    try:
        estimate = refiner.estimate_usd(task, answers)
        why = budget.set_aside(estimate, refiner.name)
        if not why:
            async with scope:
                refined = _checked(await refiner.refine(task, answers))
            budget.correct(estimate, refined.cost_usd)
            return refined
    except Exception as error:  # noqa: BLE001 - the node boundary: a broken refiner must not lose the answers
        why = f"{refiner.name} " + ("did not finish in time" if scope.expired() else f"raised {named(error)}")
        cost_usd = None  # what it had spent by then is not known
    team = context.services.team
    voted = await VoteRefiner(None if team is None else team.key).refine(task, answers)
    return voted.model_copy(update={"note": f"{why}; the vote stands", "cost_usd": cost_usd})


def _checked(value: object) -> Refined:
    if isinstance(value, Refined):
        return value
    raise AgentOutputError(f"a refiner returned {repr(value)[:80]}; accepted is a Refined")
