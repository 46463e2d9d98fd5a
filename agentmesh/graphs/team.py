"""A team: agents that are asked in waves, each wave because of what came before, until their answers suffice."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import exp, log
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import Field, ValidationError

from agentmesh.agents.refiner import Equivalence, WeightedAnswer
from agentmesh.errors import ConfigError
from agentmesh.frozen import Record
from agentmesh.graphs.equality import (
    Behaviour,
    BehaviourEquality,
    EmbeddingEquality,
    Equality,
    EquivalenceName,
    KeyEquality,
    of_form,
)
from agentmesh.judging.equivalence import text_key
from agentmesh.judging.forms import FORM_KEYS
from agentmesh.judging.similar import LIKENESS
from agentmesh.packing import unpack_floats
from agentmesh.protocols import Embedder
from agentmesh.records import AgentCall, Candidate, RouteDecision
from agentmesh.routing.team.fitting import MOST, TeamFit, chosen_members, usual_price
from agentmesh.routing.team.plan import TeamPlan, next_move
from agentmesh.routing.team.stopping import ALTERNATIVES, LEAST_USD, LEAST_WEIGHT
from agentmesh.routing.team.table import TeamTable, numbered
from agentmesh.routing.team.verdict import log_odds
from agentmesh.types import AgentId

UNRATED: Final = 0.6  # the quality of an agent whose router gives none: two that agree are then believed

TEAM: Final = "team"
"""The name under which stores keep teams, as they keep the parameters of routers."""


class Team(Record):
    """How many agents may answer, in what order they are asked, and when it is enough.

    Without a ``plan``, those that the router selected are asked by their expected quality (as log-odds) for their
    expected price, ``first`` at once and then one by one, until the leading answer is right with a probability of
    ``stop``: naive Bayes over the expected qualities, with wrong answers spread over four alternatives. A ``plan``,
    learned by :class:`~agentmesh.routing.team.fitting.TeamFit`, chooses among those of its agents that were selected;
    it has its own order and its own end. Where none of them was, the team does as without.

    Attributes:
        most: Agents that may be asked, 1 and up; ``Limits.max_agents`` of a run stands above it.
        first: Agents in the first wave of a team without a plan, 1 and up.
        stop: The probability at which a team without a plan stops, 0 (after the first wave) to 1 (ask all).
        equivalence: When two answers are the same: as texts, by their last number, by the letter chosen, as JSON;
            ``"auto"`` for the one of these that the task and most of its answers have; ``"embedding"`` by what they
            mean; ``"behaviour"`` by what they do.
        likeness: The cosine from which answers mean the same, 0 to 1; for ``"embedding"``.
        behaviour: Says what an answer to a task does; for ``"behaviour"``. It is no part of what is stored.
        plan: What was learned from a table of answers.
        rounds: How often agents whose answers differ are asked again, each with what the others said, 0 to 5. It ends
            when they agree or ``stop`` is reached, with or without a plan, and when nobody changed an answer.
    """

    most: int = Field(default=3, ge=1)
    first: int = Field(default=1, ge=1)
    stop: float = Field(default=0.9, ge=0, le=1, allow_inf_nan=False)
    equivalence: EquivalenceName = "text"
    likeness: float = Field(default=LIKENESS, gt=0, le=1, allow_inf_nan=False)
    behaviour: Behaviour | None = Field(default=None, exclude=True)
    plan: TeamPlan | None = None
    rounds: int = Field(default=0, ge=0, le=5)

    @classmethod
    def fitted(
        cls,
        table: TeamTable,
        *,
        usd_price: float | None = None,
        most: int = MOST,
        equivalence: EquivalenceName = "text",
    ) -> "Team":
        """Return a team of the agents that do best together on a table of answers, with its plan.

        Args:
            table: What a router expected of each agent on tasks that it had not learned, and what came of each.
            usd_price: The quality that a US dollar must bring; by default a tenth of what the best agent gives.
            most: How many agents it may have.
            equivalence: When two answers are the same.
        """
        members = chosen_members(table, most=most, usd_price=usd_price)
        price = usual_price(table) if usd_price is None else usd_price
        plan = TeamFit(table.columns(members)).plan(price)
        return cls(most=len(members), equivalence=equivalence, plan=plan)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Team":
        """Return the team that a file holds.

        Raises:
            ConfigError: it cannot be read, or holds no team.
        """
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except OSError as error:
            raise ConfigError(f"the team {str(path)!r} cannot be read: {error.strerror or error}") from error
        except ValidationError as error:
            raise ConfigError(f"{str(path)!r} holds no team: {error.errors()[0]['msg']}") from error

    @property
    def key(self) -> Equivalence:
        """Return what maps an answer to a value that equal answers share, where nothing else says which are equal."""
        return FORM_KEYS.get(self.equivalence, text_key)

    @property
    def is_repeatable(self) -> bool:
        """Return whether which answers are equal can be found again from the answers alone."""
        return self.equivalence not in ("embedding", "behaviour")

    def equality(self, embedder: Embedder) -> Equality:
        """Return what says which answers are equal, by the embedder of a mesh where it needs one.

        Raises:
            ConfigError: answers are to be compared by what they do, and nothing says what they do.
        """
        if self.equivalence == "embedding":
            return EmbeddingEquality(embedder, self.likeness)
        if self.equivalence != "behaviour":
            return KeyEquality(of_form(self.equivalence))
        if self.behaviour is None:
            raise ConfigError(
                "the team's behaviour is None; equivalence='behaviour' needs a function of task and answer"
            )
        return BehaviourEquality(self.behaviour)

    @property
    def fingerprint(self) -> str:
        """Return 12 hexadecimal digits that name this team."""
        return blake2b(self.model_dump_json().encode(), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class Wave:
    """Whom to ask next and why; nobody when it is enough. ``agreement`` is ``None`` before the first answers.

    In a ``"round"`` agents that answered are shown what the others said; a ``"stand_in"`` acts where nobody helped.
    """

    agents: tuple[AgentId, ...]
    reason: str
    agreement: float | None = None
    kind: Literal["wave", "round", "stand_in"] = "wave"


def next_wave(team: Team, decision: RouteDecision, calls: Sequence[AgentCall], groups: Mapping[AgentId, int]) -> Wave:
    """Return the next wave of a run, from its decision and the calls made so far. Pure, so that a replay repeats it.

    Args:
        team: Its rules.
        decision: Who was selected, and what is expected of them.
        calls: Those made so far.
        groups: The number of the group of equal answers, for each agent that gave one.
    """
    asked = tuple(dict.fromkeys(call.agent_id for call in calls))
    left = [choice.agent_id for choice in decision.selected if choice.agent_id not in asked]
    planned = _planned(team, decision)
    if planned is not None:
        return _by_plan(planned, decision, calls, groups)
    agreement = _agreement(decision, groups)
    if not asked:
        first = tuple(sorted(left, key=lambda name: _order(name, decision)))[: team.first]
        return Wave(first, "the best for their price begin")
    if agreement >= team.stop:
        return Wave((), f"the agreement of {agreement:.3f} reaches {team.stop:.3f}", agreement)
    if not left:
        return Wave((), f"all were asked; the agreement is {agreement:.3f}", agreement)
    nearest = min(left, key=lambda name: _order(name, decision))
    return Wave((nearest,), f"the agreement of {agreement:.3f} is under {team.stop:.3f}", agreement)


def vote_weights(team: Team, decision: RouteDecision, asked: Sequence[AgentId]) -> dict[AgentId, float]:
    """Return what the answer of each agent that was asked weighs: as learned by a plan, else its log-odds."""
    plan = _planned(team, decision)
    weights = {name: _weight(name, decision) for name in asked}
    if plan is not None:
        places = sorted(plan.agents.index(name) for name in asked)
        learned, names = unpack_floats(plan.state(places).vote), [plan.agents[place] for place in places]
        odds = log_odds(np.array([_quality(name, decision) for name in names]))
        spoken = learned[: len(odds)] + learned[len(odds) : 2 * len(odds)] * odds
        weights = dict(zip(names, spoken.tolist(), strict=True))
    return {name: max(value, LEAST_WEIGHT) for name, value in weights.items()}


def _planned(team: Team, decision: RouteDecision) -> TeamPlan | None:
    """Return the plan if one of its agents was selected."""
    chosen = {choice.agent_id for choice in decision.selected}
    return team.plan if team.plan is not None and chosen & set(team.plan.agents) else None


def _by_plan(
    plan: TeamPlan, decision: RouteDecision, calls: Sequence[AgentCall], groups: Mapping[AgentId, int]
) -> Wave:
    chosen = {choice.agent_id for choice in decision.selected}
    asked = [place for place, name in enumerate(plan.agents) if any(call.agent_id == name for call in calls)]
    allowed = np.array([name in chosen for name in plan.agents])
    move = next_move(plan, _as_table(plan, decision, calls, groups), asked, allowed=allowed)
    agreement = move.agreement if asked else None
    if move.agent is None and len(asked) == int(allowed.sum()):
        return Wave((), f"all were asked; the agreement is {move.agreement:.3f}", agreement)
    if move.agent is None:
        return Wave((), f"asking another is worth {move.gain:+.4f} after its price", agreement)
    return Wave((move.agent,), f"asking it is worth {move.gain:+.4f} after its price", agreement)


def _as_table(
    plan: TeamPlan, decision: RouteDecision, calls: Sequence[AgentCall], groups: Mapping[AgentId, int]
) -> TeamTable:
    """Return one run as a table of one row."""
    paid = {call.agent_id: call.cost_usd for call in calls if call.cost_usd is not None}
    found = [_candidate(name, decision) for name in plan.agents]
    prices = [None if one is None else one.expected_cost_usd for one in found]
    keys = [groups.get(name) for name in plan.agents]
    return TeamTable(
        plan.agents,
        quality=np.full((1, len(plan.agents)), np.nan),
        cost=np.array([[float(paid.get(name, np.nan)) for name in plan.agents]]),
        expected=np.array([[_quality(name, decision) for name in plan.agents]]),
        price=np.array([[np.nan if price is None else price for price in prices]]),
        keys=numbered([keys]),
    )


def _agreement(decision: RouteDecision, groups: Mapping[AgentId, int]) -> float:
    """Return the probability that the leading answer is right, 0 without one."""
    scores: dict[int, float] = {}
    for name, group in groups.items():
        scores[group] = scores.get(group, 0.0) + _weight(name, decision)
    if not scores:
        return 0.0
    highest = max(scores.values())
    others = sum(exp(score - highest) for score in scores.values())
    return 1.0 / (others + exp(log(ALTERNATIVES) - highest))


def _weight(name: AgentId, decision: RouteDecision) -> float:
    odds = float(log_odds(np.array([_quality(name, decision)]))[0])
    return odds + log(ALTERNATIVES)


def _quality(name: AgentId, decision: RouteDecision) -> float:
    candidate = _candidate(name, decision)
    quality = None if candidate is None else candidate.expected_quality
    return UNRATED if quality is None else quality


def _candidate(name: AgentId, decision: RouteDecision) -> Candidate | None:
    return next((one for one in decision.candidates if one.agent_id == name), None)


def _order(name: AgentId, decision: RouteDecision) -> tuple[bool, float, AgentId]:
    """Order agents by what they say for their price; those whose price is not known come last, the best first."""
    candidate = _candidate(name, decision)
    price = None if candidate is None else candidate.expected_cost_usd
    says = max(_weight(name, decision), LEAST_WEIGHT)
    return (price is None, -says / max(LEAST_USD if price is None else price, LEAST_USD), name)


def weighted(
    team: Team,
    decision: RouteDecision,
    calls: Sequence[AgentCall],
    answers: Sequence[WeightedAnswer],
    groups: Mapping[AgentId, int],
) -> list[WeightedAnswer]:
    """Return the answers with the weights of the team's vote, and which of them are equal."""
    chosen = {choice.agent_id for choice in decision.selected}
    asked = dict.fromkeys(call.agent_id for call in calls if call.agent_id in chosen)  # who stood in has its own weight
    weights = vote_weights(team, decision, tuple(asked))
    told = {
        answer.agent_id: {
            "weight": weights.get(answer.agent_id, answer.weight),
            "group": groups.get(answer.agent_id),
        }
        for answer in answers
    }
    return [answer.model_copy(update=told[answer.agent_id]) for answer in answers]
