"""Budgets: what fits, what is refused, and what is said about it."""

from decimal import Decimal

import pytest

from agentmesh.graphs.limits import Budget, actual_usd, estimate_usd, overlay
from agentmesh.money import Reserved
from agentmesh.records import AgentCall, AgentCard, Answer, CallStatus, ContextItem, Limits, Task, Usage

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


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(max_calls=0), "the limit of 0 calls is reached"),
        (Limits(max_tokens=0), "agent 'a' is estimated at 401 tokens and 0 are left"),
        (Limits(cost_usd=0), "agent 'a' is estimated at 0.1 USD and 0 USD are left"),
    ],
)
def test_a_limit_of_zero_refuses_and_says_so(limits: Limits, said: str) -> None:
    assert Budget(limits).reserve(card(price_per_call_usd="0.1"), TASK).refusal == said


def test_tokens_are_estimated_before_a_call_and_counted_after_it() -> None:
    budget = Budget(Limits(max_tokens=1000))
    reserved = budget.reserve(card(), TASK)
    assert budget.committed_tokens == reserved.tokens == 101 + 300
    used = Answer(text="", usage=Usage(input_tokens=90, output_tokens=800))
    budget.settle(reserved, AgentCall(agent_id="a", status=CallStatus.OK, answer=used))
    assert budget.committed_tokens == 890
    assert budget.reserve(card(), TASK).refusal == "agent 'a' is estimated at 401 tokens and 110 are left"


def test_a_context_counts_as_far_as_an_agent_gets_it() -> None:
    task = TASK.model_copy(update={"context": (ContextItem(key="k", text="y" * 4000),)})
    assert Budget(Limits()).reserve(card(), task).tokens == 1401
    assert Budget(Limits(context_tokens=50)).reserve(card(), task).tokens == 451


def test_a_price_that_changed_meanwhile_is_settled_by_what_the_call_says() -> None:
    budget = Budget(Limits(cost_usd=1))
    reserved = budget.reserve(card(price_per_call_usd="0.10"), TASK)
    budget.settle(reserved, AgentCall(agent_id="a", status=CallStatus.OK, cost_usd="0.70"))
    assert budget.committed_usd == Decimal("0.70")


def test_a_call_that_is_not_made_gives_everything_back() -> None:
    budget = Budget(Limits(cost_usd=1, max_calls=1))
    for refused in (budget.reserve(card(price_per_call_usd="0.10"), TASK), Reserved(refusal="no")):
        budget.settle(refused, AgentCall(agent_id="a", status=CallStatus.REFUSED, cost_usd=0))
    assert (budget.committed_usd, budget.committed_tokens) == (0, 0)
    assert budget.reserve(card(price_per_call_usd="0.10"), TASK).refusal is None


def test_runs_inside_another_cannot_spend_together_what_each_could_alone() -> None:
    outer = Budget(Limits(cost_usd="0.25"), spent=Decimal("0.05"))
    first, second = (Budget(Limits(cost_usd="0.20"), outer=outer) for _ in range(2))
    reserved = first.reserve(card(price_per_call_usd="0.15"), TASK)
    assert second.reserve(card(price_per_call_usd="0.15"), TASK).refusal == (
        "in the run that this one is part of, agent 'a' is estimated at 0.15 USD and 0.05 USD are left"
    )
    first.settle(reserved, AgentCall(agent_id="a", status=CallStatus.OK, cost_usd="0.02"))
    second.charge(Decimal("0.01"))
    assert outer.committed_usd == Decimal("0.08")


def test_what_runs_inside_a_call_cost_is_not_taken_off_twice() -> None:
    budget = Budget(Limits(cost_usd=1))
    reserved = budget.reserve(card(price_per_call_usd="0.10"), TASK)
    Budget(Limits(), outer=budget).charge(Decimal("0.30"))
    call = AgentCall(agent_id="a", status=CallStatus.OK, cost_usd="0.40", nested_usd="0.30")
    budget.settle(reserved, call)
    assert budget.committed_usd == Decimal("0.40")


@pytest.mark.parametrize("override", [None, Limits()])
def test_an_overlay_of_nothing_changes_nothing(override: Limits | None) -> None:
    base = Limits(timeout_s=3, retries=1)
    assert overlay(base, override) == base


def test_an_overlay_may_lift_a_limit_by_naming_it() -> None:
    assert overlay(Limits(timeout_s=3, retries=1), Limits(timeout_s=None)) == Limits(retries=1)
