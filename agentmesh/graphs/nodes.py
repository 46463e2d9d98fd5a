"""The first two nodes of a run: decide who acts, and dispatch the task to them."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from agentmesh.errors import AgentMeshError, RouterOutputError
from agentmesh.events import DecisionMade, TaskPrepared
from agentmesh.graphs.allowance import RunAsker
from agentmesh.graphs.conversation import with_topic
from agentmesh.graphs.dispatch import Dispatch
from agentmesh.graphs.place import ALONE, Place
from agentmesh.graphs.state import RunContext, RunState, Services
from agentmesh.graphs.vectors import embedded
from agentmesh.packing import pack_floats, pack_vector
from agentmesh.records import Candidate, RouteDecision, Selection, Task
from agentmesh.routing.asking import Asker
from agentmesh.routing.base import AgentPool, RouteContext, TaskFeatures
from agentmesh.routing.by_hand import decided_by_hand
from agentmesh.routing.pacing import take_note
from agentmesh.routing.preference import Applied, abstention
from agentmesh.types import AgentId, FloatArray, RunId


def draw_seed(mesh_seed: int, run_id: RunId) -> int:
    """Return the seed of a run's draws: a hash of the mesh's seed and the run's id, 63 bits.

    >>> draw_seed(0, "run-1") == draw_seed(0, "run-1") != draw_seed(1, "run-1")
    True
    """
    digest = blake2b(f"{mesh_seed}/{run_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


@dataclass(frozen=True, slots=True)
class Considered:
    """A decision with what it was made on. ``load`` is ``None`` when no call was under way."""

    features: TaskFeatures
    applied: Applied
    load: FloatArray | None
    decision: RouteDecision


async def consider(
    task: Task,
    services: Services,
    *,
    run_id: RunId,
    max_agents: int,
    explore: float,
    asker: Asker | None,
    place: Place = ALONE,
) -> Considered:
    """Embed the task, apply gates and preferences, see who is busy, and let the router choose; no agent is called.

    Where somebody has named the agents, or preferences leave nobody, no router is asked.

    Raises:
        RoutingError: nobody passes the gates, an agent that was named does not, or the router returned no decision.
    """
    vector = (await embedded(services.embedder, [task.text]))[0]
    if services.topic_weight:
        vector = await with_topic(vector, task, services.embedder, weight=services.topic_weight)
    features = TaskFeatures(
        vector=vector,
        text=task.text,
        type_hints=task.type_hints,
        stage=place.layer,
        turns=task.turns,
        previous=place.previous,
    )
    applied = await services.pools.for_task(task, vector)
    load = services.pools.load.shares(applied.pool)
    seed = draw_seed(services.mesh_seed, run_id) if services.draw_seed is None else services.draw_seed
    if services.by_hand:
        return Considered(features, applied, load, decided_by_hand(applied.pool, services.by_hand, seed=seed))
    nobody = abstention(applied, seed=seed)
    if nobody is not None:
        return Considered(features, applied, load, nobody)
    context = RouteContext(
        seed=seed,
        max_agents=max_agents,
        objective=task.objective,
        explore=explore,
        bonus=applied.bonus if applied.bonus.any() else None,
        load=load,
        asker=asker,
        pace=services.pace,
    )
    decision = await services.router.route(features, applied.pool, context)
    check_decision(decision, applied.pool)
    take_note(services.pace, decision)
    if decision.abstained and services.fallback is not None:
        decision = fallen_back(decision, services.fallback, applied.pool)
    return Considered(features, applied, load, decision)


async def decide(state: RunState, context: RunContext) -> RunState:
    """Choose who acts; a run that goes on keeps the decision it has."""
    services, log = context.services, context.log
    made = log.earlier(DecisionMade)
    if made is not None:
        return _callable(made.decision, await services.pools.current(), context)
    considered = await consider(
        state["task"],
        services,
        run_id=log.run_id,
        max_agents=context.max_agents,
        explore=services.explore,
        asker=_asker(context),
        place=context.place,
    )
    pool = considered.applied.pool
    await services.pools.keep(pool)
    log.post(
        TaskPrepared,
        vector=pack_vector(considered.features.vector),
        refused=dict(pool.refused),
        bonus=_by_agent(pool, considered.applied.bonus),
        rules=considered.applied.reasons,
        faults=considered.applied.faults,
        load={} if considered.load is None else _by_agent(pool, considered.load),
    )
    log.post(DecisionMade, decision=considered.decision)
    return _callable(considered.decision, pool, context)


def _callable(decision: RouteDecision, pool: AgentPool, context: RunContext) -> RunState:
    """Return a decision with those who may be called on it."""
    waiting = stand_ins(decision, pool, context)
    called = [choice.agent_id for choice in decision.selected] + list(waiting)
    cards = {agent_id: pool.cards[pool.index[agent_id]] for agent_id in called}
    return {"decision": decision, "cards": cards, "stand_ins": waiting}


def stand_ins(decision: RouteDecision, pool: AgentPool, context: RunContext) -> tuple[AgentId, ...]:
    """Return who may stand in for those chosen: the next best of the decision, and last the mesh's fallback agent."""
    most = context.limits.fallbacks + context.limits.replans
    if not most or decision.abstained:
        return ()
    chosen = {choice.agent_id for choice in decision.selected}
    scores = np.nan_to_num(decision.score_array(), nan=-np.inf)
    ranked = sorted(np.flatnonzero(pool.mask).tolist(), key=lambda place: (-scores[place], pool.ids[place]))
    best = [pool.ids[place] for place in ranked if pool.ids[place] not in chosen][:most]
    fallback = context.services.fallback
    place = None if fallback is None else pool.index.get(fallback)
    if fallback is not None and place is not None and pool.mask[place] and fallback not in {*chosen, *best}:
        best = [*best[: most - 1], fallback]
    return tuple(best)


def _asker(context: RunContext) -> Asker | None:
    """Return what this run may ask a chat model through, ``None`` where the mesh has no model."""
    services = context.services
    if services.asker is None:
        return None
    return RunAsker(services.asker, context.limits, context.deadline, services.clock)


def fallen_back(decision: RouteDecision, fallback: AgentId, pool: AgentPool) -> RouteDecision:
    """Return the decision with the fallback agent in nobody's place, if it may act on the task."""
    place = pool.index.get(fallback)
    if place is None or not pool.mask[place]:
        why = "is not registered" if place is None else f"is refused by the gate {pool.refused.get(fallback, 'mask')!r}"
        return decision.model_copy(update={"reason": f"{decision.reason}; the fallback agent {fallback!r} {why}"})
    chances = np.zeros(len(pool))
    chances[place] = 1.0
    sure = {"probability": 1.0, "inclusion": 1.0}
    others = tuple(one for one in decision.candidates if one.agent_id != fallback)
    told = next((one for one in decision.candidates if one.agent_id == fallback), None) or Candidate(
        agent_id=fallback, score=None, agent_version=int(pool.versions[place]), **sure
    )
    return decision.model_copy(
        update={
            "selected": (Selection(agent_id=fallback, weight=1.0),),
            "candidates": (told.model_copy(update=sure), *others),
            "probabilities": pack_floats(chances),
            "abstained": False,
            "reason": f"{decision.reason}; the fallback agent {fallback!r} acts",
        }
    )


def _by_agent(pool: AgentPool, values: FloatArray) -> dict[AgentId, float]:
    """Return the values that are not 0, by agent."""
    return {pool.ids[place]: float(values[place]) for place in np.flatnonzero(values)}


def check_decision(decision: RouteDecision, pool: AgentPool) -> None:
    """See that a router chose only agents that exist and pass the gates, each once.

    Raises:
        RouterOutputError: it did not.
    """
    chosen = [selection.agent_id for selection in decision.selected]
    for agent_id in chosen:
        if agent_id not in pool.index:
            raise RouterOutputError(f"router {decision.router!r} chose {agent_id!r}, which is not registered")
        if not pool.mask[pool.index[agent_id]]:
            gate = pool.refused.get(agent_id, "mask")
            raise RouterOutputError(f"router {decision.router!r} chose {agent_id!r}, which the gate {gate!r} refuses")
    if len(set(chosen)) != len(chosen):
        raise RouterOutputError(f"router {decision.router!r} chose an agent twice: {chosen!r}")
    if not chosen and not decision.abstained:
        raise RouterOutputError(f"router {decision.router!r} chose nobody and did not abstain")


async def dispatch(state: RunState, context: RunContext) -> RunState:
    """Call the chosen agents."""
    context.entry.leave()
    services = context.services
    work = Dispatch(
        task=state["task"],
        cards=state["cards"],
        limits=context.limits,
        caller=services.caller,
        log=context.log,
        clock=services.clock,
        load=services.pools.load,
        deadline=context.deadline,
        scope=context.scope,
        turns=services.turns,
        team=services.team,
        stand_ins=state["stand_ins"],
        admissions=services.admissions,
        equality=services.equality,
        checker=services.checker,
    )
    try:
        return {"calls": await work.run(state["decision"])}
    except* AgentMeshError as failures:  # a failing agent is a value; what comes here is the store's
        raise _first(failures) from failures


def _first(failures: BaseExceptionGroup[AgentMeshError]) -> AgentMeshError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
