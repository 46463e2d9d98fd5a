"""What a call cost, from what the agent reported and what its card declares."""

from decimal import Decimal

from agentmesh.records import AgentCard, Answer, Usage

_MILLION = Decimal(1_000_000)


def call_cost_usd(card: AgentCard, answer: Answer) -> Decimal | None:
    """Return what an answered call cost in US dollars, ``None`` when it is unknown.

    Rule: a cost that the answer reports holds. Otherwise the price per call and the price of its tokens add up; a
    declared token price without the number of tokens, tokens without a price, and a card without any price leave the
    cost unknown.

    >>> card = AgentCard(id="a", description="Adds.", price_in_per_m_usd="2", price_out_per_m_usd="10")
    >>> call_cost_usd(card, Answer(text="3", usage=Usage(input_tokens=1000, output_tokens=50)))
    Decimal('0.0025')
    """
    if answer.cost_usd is not None:
        return answer.cost_usd
    if card.price_in_per_m_usd is None and card.price_out_per_m_usd is None:
        return card.price_per_call_usd
    if answer.usage is None:
        return None
    tokens = _token_cost(card, answer.usage)
    return None if tokens is None else tokens + (card.price_per_call_usd or Decimal(0))


def _token_cost(card: AgentCard, usage: Usage) -> Decimal | None:
    total = Decimal(0)
    for count, price in (
        (usage.input_tokens, card.price_in_per_m_usd),
        (usage.output_tokens, card.price_out_per_m_usd),
    ):
        if count and price is None:
            return None
        total += count * (price or Decimal(0)) / _MILLION
    return total
