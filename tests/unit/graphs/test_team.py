"""Whom a team asks next, from a decision and the calls so far."""

from decimal import Decimal

import numpy as np
import pytest
from pydantic import ValidationError

from agentmesh import Team
from agentmesh.graphs.team import LEAST_WEIGHT, Wave, vote_weights
from agentmesh.graphs.team import next_wave as next_wave_of
from agentmesh.graphs.waves import last_answers
from agentmesh.packing import pack_floats
from agentmesh.records import AgentCall, Answer, CallStatus, Candidate, RouteDecision, Selection
from agentmesh.routing.team.table import TeamTable

Rating = tuple[str, float | None, float | None]


def decided(*ratings: Rating) -> RouteDecision:
    """Return a decision for agents with an expected quality and an expected price."""
    return RouteDecision(
        router="rated",
        router_version="a@0",
        registry_version="r",
        seed=0,
        selected=tuple(Selection(agent_id=name, weight=1.0) for name, _, _ in ratings),
        candidates=tuple(
            Candidate(
                agent_id=name,
                score=0.0,
                probability=0.0,
                inclusion=0.0,
                expected_quality=quality,
                expected_cost_usd=price,
            )
            for name, quality, price in ratings
        ),
        scores=pack_floats(np.zeros(0)),
        probabilities=pack_floats(np.zeros(0)),
    )


def said(name: str, text: str | None) -> AgentCall:
    answer = None if text is None else Answer(text=text)
    status = CallStatus.FAILED if text is None else CallStatus.OK
    return AgentCall(agent_id=name, status=status, answer=answer, cost_usd=Decimal("0.001"))


def next_wave(team: Team, decision: RouteDecision, calls: list[AgentCall]) -> Wave:
    """Return the next wave, answers being the same where their texts are."""
    answers = last_answers(calls)
    texts = sorted(set(answers.values()))
    return next_wave_of(team, decision, calls, {name: texts.index(text) for name, text in answers.items()})


def test_the_one_that_says_most_for_its_price_begins() -> None:
    decision = decided(("good", 0.9, 0.01), ("cheap", 0.7, 0.001), ("dear", 0.95, 1.0))
    assert next_wave(Team(), decision, []).agents == ("cheap",)
    assert next_wave(Team(first=2), decision, []).agents == ("cheap", "good")


def test_one_whose_price_is_not_known_comes_last() -> None:
    decision = decided(("unpriced", 0.99, None), ("priced", 0.6, 1.0))
    assert next_wave(Team(first=2), decision, []).agents == ("priced", "unpriced")


def test_one_that_is_more_often_wrong_than_right_comes_behind_one_of_its_price() -> None:
    decision = decided(("bad", 0.05, 0.01), ("good", 0.8, 0.01))
    assert next_wave(Team(first=2), decision, []).agents == ("good", "bad")


def test_one_answer_is_believed_as_far_as_its_agent() -> None:
    wave = next_wave(Team(), decided(("a", 0.8, 0.1), ("b", 0.8, 0.1)), [said("a", "84")])
    assert wave.agreement == pytest.approx(0.8)
    assert wave.agents == ("b",)


def test_answers_that_agree_are_believed_more_and_those_that_differ_less() -> None:
    decision = decided(("a", 0.8, 0.1), ("b", 0.8, 0.1), ("c", 0.8, 0.1))
    agreed = next_wave(Team(), decision, [said("a", "84"), said("b", "84")])
    differed = next_wave(Team(), decision, [said("a", "84"), said("b", "85")])
    assert agreed.agreement == pytest.approx(64 / 65)  # (4 * 4)^2 against 4
    assert differed.agreement == pytest.approx(4 / 9)  # 16 against 16 and 4
    assert (agreed.agents, differed.agents) == ((), ("c",))


@pytest.mark.parametrize("text", [None, "  "])
def test_a_failure_and_a_blank_answer_say_nothing(text: str | None) -> None:
    wave = next_wave(Team(), decided(("a", 0.8, 0.1), ("b", 0.8, 0.2)), [said("a", text)])
    assert (wave.agents, wave.agreement) == (("b",), 0.0)


def test_agents_of_a_router_without_qualities_are_believed_when_two_agree() -> None:
    decision = decided(("a", None, 0.1), ("b", None, 0.1), ("c", None, 0.1))
    assert next_wave(Team(stop=0.85), decision, [said("a", "84")]).agents == ("b",)
    assert next_wave(Team(stop=0.85), decision, [said("a", "84"), said("b", "84")]).agents == ()


def test_votes_weigh_as_their_log_odds_and_never_nothing() -> None:
    weights = vote_weights(Team(), decided(("a", 0.5, 0.1), ("b", 0.02, 0.1)), ("a", "b"))
    assert weights == {"a": pytest.approx(np.log(4)), "b": LEAST_WEIGHT}


@pytest.fixture(scope="module")
def table() -> TeamTable:
    rng = np.random.default_rng(0)
    odds = np.array([0.75, 0.75, 0.95])
    right = rng.random((400, 3)) < odds
    keys = np.where(right, 0, rng.integers(1, 5, (400, 3)))
    cost = np.tile([0.001, 0.002, 0.01], (400, 1))
    return TeamTable(("a", "b", "c"), right.astype(np.float64), cost, np.tile(odds, (400, 1)), cost, keys)


def test_a_fitted_team_has_the_agents_that_are_worth_their_price_and_no_others(table: TeamTable) -> None:
    team = Team.fitted(table, equivalence="choice")
    assert team.plan is not None
    assert "c" in team.plan.agents
    assert team.most == len(team.plan.agents)
    assert team.equivalence == "choice"


def test_a_fitted_team_at_no_price_asks_whoever_may_help(table: TeamTable) -> None:
    team = Team.fitted(table, usd_price=0.0, most=2)
    assert team.plan is not None
    assert (team.plan.usd_price, team.most <= 2) == (0.0, True)


def test_a_team_is_the_same_after_it_was_written_as_json(table: TeamTable) -> None:
    team = Team.fitted(table)
    again = Team.model_validate_json(team.model_dump_json())
    assert again == team
    assert again.fingerprint == team.fingerprint != Team().fingerprint


@pytest.mark.parametrize("wrong", [{"most": 0}, {"first": 0}, {"stop": 1.1}, {"equivalence": "taste"}])
def test_what_no_team_can_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Team.model_validate(wrong)
