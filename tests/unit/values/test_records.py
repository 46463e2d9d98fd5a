"""Records: money is exact, arrays survive bit for bit, a decision says itself in words."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentmesh.packing import pack_floats, unpack_floats
from agentmesh.records import AgentCard, Candidate, Limits, RouteDecision, RouterState, Selection


@pytest.mark.parametrize("price", [0.1, "0.1", Decimal("0.1")])
def test_money_is_taken_in_three_forms_and_held_exactly(price: float | str | Decimal) -> None:
    assert Limits(cost_usd=price).cost_usd == Decimal("0.1")


@pytest.mark.parametrize("price", [-1, "-0.01", float("nan"), float("inf"), "much"])
def test_money_that_is_none_is_refused(price: float | str) -> None:
    with pytest.raises(ValidationError):
        Limits(cost_usd=price)


def test_a_price_that_is_left_out_is_unknown() -> None:
    assert AgentCard(id="a", description="d").price_per_call_usd is None


@given(st.lists(st.floats(width=64)))
def test_packed_floats_come_back_bit_for_bit(values: list[float]) -> None:
    packed = pack_floats(np.array(values, dtype=np.float64))
    assert pack_floats(unpack_floats(packed)) == packed
    np.testing.assert_array_equal(unpack_floats(packed), values)


def _decision(*selected: str, explored: bool = False, margin: float | None = 0.25, reason: str = "") -> RouteDecision:
    best = Candidate(
        agent_id="best",
        score=0.9,
        probability=0.7,
        inclusion=0.7,
        expected_quality=0.8,
        expected_cost_usd=0.00123,
        factors={"evidence": 2.5},
    )
    next_best = Candidate(agent_id="next", score=0.65, probability=0.2, inclusion=0.2)
    unrated = Candidate(agent_id="unrated", score=None, probability=0.1, inclusion=0.1)
    barred = Candidate(agent_id="barred", score=None, probability=0.0, inclusion=0.0, gate="skill:x")
    return RouteDecision(
        router="kernel",
        router_version="abc@3",
        registry_version="r",
        seed=1,
        selected=tuple(Selection(agent_id=agent_id, weight=1.0) for agent_id in selected),
        candidates=(best, next_best, unrated, barred),
        scores=pack_floats(np.array([0.9, 0.65, np.nan, np.nan])),
        probabilities=pack_floats(np.array([0.7, 0.2, 0.1, 0.0])),
        margin=margin,
        abstained=not selected,
        explored=explored,
        reason=reason,
    )


def test_a_decision_says_who_was_chosen_and_over_whom() -> None:
    assert _decision("best").explain().splitlines() == [
        "Chosen by router kernel (abc@3): best, 0.250 ahead of the next best.",
        "* best: score 0.900, p 0.700, expected quality 0.800, expected cost 0.00123 USD, evidence 2.5",
        "  next: score 0.650, p 0.200",
        "  unrated: score unknown, p 0.100",
        "  barred: refused by the gate 'skill:x'",
    ]


def test_a_draw_at_random_is_owned_up_to() -> None:
    assert "0.250 behind the next best; drawn to explore." in _decision("next", explored=True, margin=-0.25).explain()


def test_an_abstention_gives_its_reason() -> None:
    lines = _decision(margin=None, reason="nobody reached 0.5").explain().splitlines()
    assert lines[:2] == ["Nobody was chosen by router kernel (abc@3).", "  nobody reached 0.5"]


def test_a_short_explanation_lists_those_chosen_whatever_their_place() -> None:
    lines = _decision("unrated").explain(most=2).splitlines()
    assert [line[2:].partition(":")[0] for line in lines[1:]] == ["best", "unrated"]


def test_the_arrays_of_a_decision_are_read_back() -> None:
    decision = RouteDecision.model_validate_json(_decision("best").model_dump_json())
    np.testing.assert_array_equal(decision.score_array(), [0.9, 0.65, np.nan, np.nan])
    assert decision.probability_array().tolist() == [0.7, 0.2, 0.1, 0.0]


def test_a_state_names_the_version_that_decisions_name() -> None:
    assert RouterState(router="kernel", parameters="abc", sequence=3, at=0.0, payload=b"").version == "abc@3"


def test_records_refuse_unknown_fields_and_changes() -> None:
    with pytest.raises(ValidationError):
        AgentCard.model_validate({"id": "a", "description": "d", "colour": "red"})
    with pytest.raises(ValidationError):
        AgentCard(id="a", description="d").id = "b"  # type: ignore[misc]
