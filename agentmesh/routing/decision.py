"""From arrays to a ``RouteDecision``: what is kept whole, and which few candidates become readable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, isfinite
from typing import Final

import numpy as np

from agentmesh.decisions import Evidence
from agentmesh.frozen import built
from agentmesh.packing import pack_floats
from agentmesh.records import Candidate, Selection
from agentmesh.routing.inputs import RouteContext
from agentmesh.routing.objective import Estimate
from agentmesh.routing.policy import Draw, best
from agentmesh.types import AgentId, FloatArray, IndexArray, MaskArray

MOST_REFUSED: Final = 4  # more refused agents than this are listed nowhere but in the packed scores
LEAST_WEIGHT: Final = 0.01  # an agent worth calling keeps a say when its expected quality is near 0
MOST_KINDS: Final = 5  # kinds of task that a decision names; the rest are in the router's state
ROUNDING: Final = 1e-9  # what sums may be off when they reach the highest quality there is, 1


@lru_cache(maxsize=32)
def canonical_order(ids: tuple[AgentId, ...]) -> IndexArray | None:
    """Return the places of ``ids`` in the order of their names, ``None`` when they stand so already.

    >>> canonical_order(("b", "c", "a")).tolist()
    [2, 0, 1]
    """
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return None if order == list(range(len(ids))) else np.array(order, dtype=np.int64)


def reordered(estimate: Estimate, order: IndexArray) -> Estimate:
    """Return the estimate with its agents in another order, without its factors and intent."""
    curiosity = np.broadcast_to(estimate.curiosity, order.shape)[order]
    return Estimate(
        estimate.quality[order], cost=estimate.cost[order], latency=estimate.latency[order], curiosity=curiosity
    )


def reordered_context(context: RouteContext, order: IndexArray) -> RouteContext:
    """Return the context with its arrays in another order of the agents."""
    bonus, load = context.bonus, context.load
    if bonus is None and load is None:
        return context
    return replace(context, bonus=None if bonus is None else bonus[order], load=None if load is None else load[order])


def placed_back(draw: Draw, order: IndexArray) -> Draw:
    """Return a draw made on arrays in ``order`` as a draw on the arrays before that."""
    probabilities, inclusion = np.empty(len(order)), np.empty(len(order))
    probabilities[order] = draw.probabilities
    inclusion[order] = draw.inclusion
    return Draw(order[draw.order], probabilities, inclusion, draw.log_p)


def flip_of(lead: float, quality: float, weight: float) -> float | None:
    """Return the least rise of an expected quality that makes up for a lead in utility.

    The rule: the utility holds ``weight * quality``, so the rise is ``lead / weight``. It is ``None`` when not even a
    quality of 1 would do.

    Args:
        lead: The best utility minus the agent's own, 0 or more.
        quality: The agent's expected quality, 0 to 1.
        weight: What quality weighs in the task's objective, 0 or more.

    >>> flip_of(0.125, quality=0.5, weight=0.5), flip_of(0.125, quality=0.9, weight=0.5)
    (0.25, None)
    """
    if lead <= 0:
        return 0.0
    rise = lead / weight if weight > 0 else inf
    return rise if quality + rise <= 1 + ROUNDING else None


def named_kinds(intent: Mapping[str, float]) -> dict[str, float]:
    """Return the heaviest few kinds of task, heaviest first, those without weight left out.

    >>> named_kinds({"physics": 0.2, "law": 0.0, "math": 0.7})
    {'math': 0.7, 'physics': 0.2}
    """
    ranked = sorted(intent.items(), key=lambda item: (-item[1], item[0]))
    return {kind: float(weight) for kind, weight in ranked[:MOST_KINDS] if weight > 0}


@dataclass(frozen=True, slots=True)
class Rated:
    """One decision as arrays, in the pool's order. ``weight`` is what quality weighs in the task's objective.

    Shapes:
        versions, mask, utilities: (n,).
    """

    ids: Sequence[AgentId]
    versions: IndexArray
    mask: MaskArray
    refused: Mapping[AgentId, str]
    estimate: Estimate
    utilities: FloatArray
    draw: Draw
    calibrated: bool
    weight: float

    def packed_scores(self) -> bytes:
        """Return the utilities packed, NaN where gated."""
        return pack_floats(self.utilities if self.mask.all() else np.where(self.mask, self.utilities, np.nan))

    def selections(self) -> tuple[Selection, ...]:
        """Return the drawn agents with the weights of their votes, which sum to 1.

        Weights follow the router's own distribution where it has one, else the expected quality; an affinity has no
        unit, so without calibration all weigh the same.
        """
        places = self.draw.order
        raw = np.ones(len(places))
        if self.estimate.votes is not None:
            raw = self.estimate.votes[places]
        elif self.calibrated:
            raw = np.maximum(self.estimate.quality[places], LEAST_WEIGHT)
        weights = raw / raw.sum() if len(places) else raw
        return tuple(
            built(Selection, agent_id=self.ids[place], weight=weight)
            for place, weight in zip(places.tolist(), weights.tolist(), strict=True)
        )

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what the choice of the first drawn agent rests on, as far as the router can say."""
        if self.estimate.evidence is None or len(self.draw.order) == 0:
            return ()
        return self.estimate.evidence(int(self.draw.order[0]))

    def lead(self) -> tuple[float | None, bool]:
        """Return the utility of the first drawn agent minus that of the best one left out, ``None`` where nobody was.

        With it comes whether an agent was drawn that is worth less than that one: then it was drawn to explore.
        """
        drawn, left = self.draw.order, self.mask.copy()
        left[drawn] = False
        if len(drawn) == 0 or not left.any():
            return None, False
        best_left = self.utilities[left].max()
        return float(self.utilities[drawn[0]] - best_left), bool(best_left > self.utilities[drawn].min())

    def candidates(self, top: int) -> tuple[Candidate, ...]:
        """Return the ``top`` best agents, one at least, and all drawn ones, then the refused ones if they are few."""
        allowed = np.flatnonzero(self.mask)
        shown = best(self.utilities, allowed, max(top, 1))
        if not {*self.draw.order.tolist()} <= {*shown.tolist()}:
            shown = np.union1d(shown, self.draw.order)
            shown = shown[np.argsort(-self.utilities[shown], kind="stable")]
        named = self._candidates(shown)
        if len(self.ids) - len(allowed) <= MOST_REFUSED:
            named.extend(self._refused(place) for place in np.flatnonzero(~self.mask).tolist())
        return tuple(named)

    def _candidates(self, places: IndexArray) -> list[Candidate]:
        """Return the agents at ``places``, of which the first is the best there is."""
        estimate, draw, highest = self.estimate, self.draw, float(self.utilities[places[0]])
        factors = {name: values[places].tolist() for name, values in estimate.factors.items()}
        columns = zip(
            places.tolist(),
            self.utilities[places].tolist(),
            draw.probabilities[places].tolist(),
            draw.inclusion[places].tolist(),
            self.versions[places].tolist(),
            estimate.quality[places].tolist(),
            estimate.cost[places].tolist(),
            estimate.latency[places].tolist(),
            strict=True,
        )
        return [
            built(
                Candidate,
                agent_id=self.ids[place],
                score=score,
                probability=probability,
                inclusion=inclusion,
                agent_version=version,
                gate=None,
                expected_quality=quality if self.calibrated else None,
                expected_cost_usd=_known(cost),
                expected_latency_s=_known(latency),
                flip=flip_of(highest - score, quality, self.weight) if self.calibrated else None,
                factors={name: values[rank] for name, values in factors.items() if isfinite(values[rank])},
            )
            for rank, (place, score, probability, inclusion, version, quality, cost, latency) in enumerate(columns)
        ]

    def _refused(self, place: int) -> Candidate:
        agent_id = self.ids[place]
        return Candidate.model_construct(
            agent_id=agent_id,
            score=None,
            probability=0.0,
            inclusion=0.0,
            agent_version=int(self.versions[place]),
            gate=self.refused.get(agent_id, "mask"),
        )


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
