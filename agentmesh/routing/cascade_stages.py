"""What the stages of a cascade said, and the decision with it."""

from math import isfinite

import numpy as np

from agentmesh.packing import pack_floats
from agentmesh.records import RouteDecision, Stage
from agentmesh.routing.pacing import REASONING


def stage_of(name: str, decision: RouteDecision, threshold: float, beyond: str) -> Stage:
    """Return what a router said. What was drawn at random says nothing of how sure it is."""
    return Stage(
        name=name,
        chosen=tuple(selection.agent_id for selection in decision.selected),
        confidence=None if decision.explored else decision.margin,
        threshold=threshold if isfinite(threshold) else None,
        beyond=beyond,
        note="drawn to explore" if decision.explored else "",
    )


def turned_away(decision: RouteDecision, guarded: Stage) -> RouteDecision:
    """Return a decision for nobody, with what was known of the agents."""
    untouched = {"probability": 0.0, "inclusion": 0.0}
    return decision.model_copy(
        update={
            "selected": (),
            "candidates": tuple(candidate.model_copy(update=untouched) for candidate in decision.candidates),
            "probabilities": pack_floats(np.zeros(len(decision.probability_array()))),
            "margin": None,
            "abstained": True,
            "log_propensity": 0.0,
            "explored": False,
            "reason": f"the guard turned the task away: it is {guarded.note} "
            f"(familiarity {guarded.confidence:.3f}, under {guarded.threshold:.3f})",
            "evidence": (),
        }
    )


def after_reasoning(before: RouteDecision, decision: RouteDecision, *, elapsed_ms: float) -> RouteDecision:
    """Return a decision with the reasoning as its last stage; it has not decided where nothing came of it."""
    reasoning = decision.reasoning
    if reasoning is None:  # nothing was worth asking
        last = before.stages[-1].model_copy(update={"decided": True})
        return decision.model_copy(update={"stages": (*before.stages[:-1], last), "elapsed_ms": elapsed_ms})
    note = reasoning.fault or ("out of scope" if reasoning.out_of_scope else "")
    settled = decision.abstained or bool(reasoning.named)  # against a pin, "out of scope" settles nothing
    last = Stage(name=REASONING, chosen=reasoning.named, decided=settled, note=note)
    stages = (*before.stages[:-1], before.stages[-1].model_copy(update={"decided": not settled}), last)
    return decision.model_copy(update={"stages": stages, "elapsed_ms": elapsed_ms})
