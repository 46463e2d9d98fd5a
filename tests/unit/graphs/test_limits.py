"""Budgets: what fits, what is refused, and what is said about it."""

from decimal import Decimal

import pytest

from agentmesh.graphs.limits import Budget, actual_usd, estimate_usd, overlay
from agentmesh.money import Reserved
from agentmesh.records import AgentCall, AgentCard, Answer, CallStatus, Limits, Task, Usage

TASK = Task(text="x" * 400)


def card(**prices: object) -> AgentCard:
    return AgentCard.model_validate({"id": "a", "description": "d", **prices})


def test_an_estimate_adds_the_tokens_of_the_task_and_of_an_assumed_answer() -> None:
    priced = card(price_in_per_m_usd="1", price_out_per_m_usd="2")
    assert estimate_usd(priced, TASK) == Decimal(101 + 2 * 300) / 1_000_000


def test_an_agent_without_a_price_has_no_estimate() -> None:
    assert estimate_usd(card(), TASK) is None


def test_the_cost_an_agent_reports_stands_above_its_price() -> None:
    assert actual_usd(card(price_per_call_usd="1"), Answer(text="", cost_usd="0.25")) == Decimal("0.25")


def test_tokens_are_charged_by_the_million() -> None:
    priced = card(price_in_per_m_usd="3", price_out_per_m_usd="6")
    used = Answer(text="", usage=Usage(input_tokens=1_000_000, output_tokens=500_000))
    assert actual_usd(priced, used) == Decimal(6)


def test_a_failed_call_of_an_agent_paid_by_the_token_has_an_unknown_cost() -> None:
    assert actual_usd(card(price_in_per_m_usd="3", price_out_per_m_usd="6"), None) is None


def test_a_budget_refuses_what_does_not_fit_what_was_set_aside_before() -> None:
    budget = Budget(Limits(cost_usd="0.15"))
    assert budget.reserve(card(price_per_call_usd="0.10"), TASK) == Reserved(Decimal("0.10"), 401)
    refusal = budget.reserve(card(price_per_call_usd="0.10"), TASK).refusal
    assert refusal is not None
    assert "'a' is estimated at 0.10 USD and 0.05 USD are left" in refusal


def test_a_settled_call_gives_back_what_it_did_not_cost() -> None:
    budget = Budget(Limits(cost_usd="0.15"))
    reserved = budget.reserve(card(price_per_call_usd="0.10"), TASK)
    budget.settle(reserved, AgentCall(agent_id="a", status=CallStatus.OK, cost_usd=Decimal("0.01")))
    assert budget.reserve(card(price_per_call_usd="0.10"), TASK).refusal is None


def test_a_call_of_unknown_cost_keeps_its_estimate_set_aside() -> None:
    budget = Budget(Limits(cost_usd="0.15"))
    reserved = budget.reserve(card(price_per_call_usd="0.10"), TASK)
    budget.settle(reserved, AgentCall(agent_id="a", status=CallStatus.FAILED, cost_usd=None))
    assert budget.reserve(card(price_per_call_usd="0.10"), TASK).refusal is not None


def test_a_budget_of_zero_allows_only_what_is_free() -> None:
    budget = Budget(Limits(cost_usd=0.0))
    assert budget.reserve(card(price_per_call_usd="0"), TASK).refusal is None
    assert budget.reserve(card(price_per_call_usd="0.0001"), TASK).refusal is not None


def test_an_unknown_price_is_refused_under_a_cost_limit_unless_allowed() -> None:
    refusal = Budget(Limits(cost_usd=1.0)).reserve(card(), TASK).refusal
    assert refusal is not None
    assert "has no price" in refusal
    assert Budget(Limits(cost_usd=1.0, allow_unknown_price=True)).reserve(card(), TASK).refusal is None


def test_calls_are_counted() -> None:
    budget = Budget(Limits(max_calls=1))
    assert budget.reserve(card(), TASK).refusal is None
    assert budget.reserve(card(), TASK).refusal == "the limit of 1 calls is reached"


@pytest.mark.parametrize("override", [None, Limits()])
def test_an_overlay_of_nothing_changes_nothing(override: Limits | None) -> None:
    base = Limits(timeout_s=3, retries=1)
    assert overlay(base, override) == base


def test_an_overlay_may_lift_a_limit_by_naming_it() -> None:
    assert overlay(Limits(timeout_s=3, retries=1), Limits(timeout_s=None)) == Limits(retries=1)
