"""What a call cost."""

from decimal import Decimal

import pytest

from agentmesh.agents import call_cost_usd
from agentmesh.records import AgentCard, Answer, Usage

USAGE = Usage(input_tokens=1_000, output_tokens=100)


def cost(usage: Usage | None = USAGE, **prices: str) -> Decimal | None:
    card = AgentCard.model_validate({"id": "a", "description": "Adds.", **prices})
    return call_cost_usd(card, Answer(text="3", usage=usage))


def test_a_reported_cost_holds() -> None:
    card = AgentCard.model_validate({"id": "a", "description": "Adds.", "price_per_call_usd": "5"})
    assert call_cost_usd(card, Answer(text="3", cost_usd="0.25", usage=USAGE)) == Decimal("0.25")


def test_a_card_without_prices_leaves_the_cost_unknown() -> None:
    assert cost() is None


@pytest.mark.parametrize("usage", [USAGE, None])
def test_a_price_per_call_needs_no_tokens(usage: Usage | None) -> None:
    assert cost(usage, price_per_call_usd="0.5") == Decimal("0.5")


def test_tokens_and_calls_add_up_exactly() -> None:
    assert cost(price_per_call_usd="0.1", price_in_per_m_usd="1", price_out_per_m_usd="10") == Decimal("0.102")


def test_token_prices_without_tokens_leave_the_cost_unknown() -> None:
    assert cost(None, price_per_call_usd="0.1", price_in_per_m_usd="1", price_out_per_m_usd="10") is None


@pytest.mark.parametrize("known", ["price_in_per_m_usd", "price_out_per_m_usd"])
def test_tokens_of_unknown_price_leave_the_cost_unknown(known: str) -> None:
    assert cost(**{known: "1"}) is None


def test_a_price_that_no_token_needs_may_be_unknown() -> None:
    assert cost(Usage(input_tokens=1_000), price_in_per_m_usd="2") == Decimal("0.002")


def test_no_tokens_cost_nothing() -> None:
    assert cost(Usage(), price_in_per_m_usd="2", price_out_per_m_usd="2") == 0
