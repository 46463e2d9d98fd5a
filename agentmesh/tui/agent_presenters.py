"""The agents: what they declare, what they were seen to do, and whether they are well."""

from collections.abc import Mapping
from decimal import Decimal
from statistics import median
from typing import Final

from agentmesh.display import escape
from agentmesh.records import AgentCard
from agentmesh.tui.cells import Cell, Column, Tone, bar, sparkline
from agentmesh.tui.presenters import NONE, money, percent
from agentmesh.tui.tallies import AgentTally
from agentmesh.types import AgentId

SPARK: Final = 7
BAR: Final = 5
FAILING: Final = 3
"""Failures in a row from which an agent is shown as failing."""

AGENTS: Final = (
    Column("agent", 14, grows=True, most=40),
    Column("v", 2, right=True, rank=3),
    Column("state", 9),
    Column("asked", BAR + 5, rank=0),
    Column("worth", 14, rank=1),
    Column("USD/call", 9, right=True),
    Column("median s", 8, right=True, rank=1),
    Column("latency", SPARK, rank=1),
    Column("calls", 6, right=True, rank=2),
    Column("failed", 7, right=True, rank=2),
)
"""The columns of the agents. ``worth`` is the mean score and its 95 % interval; ``asked`` the share of decisions."""

LEGEND: Final = (
    "asked: share of choices   worth: mean score 0-1 of its answers, 95 % interval",
    "latency: newest calls, oldest first   * declared price, nothing was paid yet",
)


def agent_row(card: AgentCard | None, tally: AgentTally, agent_id: AgentId, chosen: int) -> tuple[Cell, ...]:
    """Return the cells of an agent under ``AGENTS``; ``chosen`` is how often any agent was chosen."""
    share = tally.chosen / chosen if chosen else 0.0
    return (
        Cell(agent_id),
        Cell(NONE if card is None else str(card.version), Tone.DIM),
        health(tally),
        Cell(f"{bar(share, BAR)}{share:5.0%}", Tone.ACCENT),
        worth(tally),
        price(card, tally),
        Cell(f"{median(tally.latencies_s):.3f}" if tally.latencies_s else NONE),
        Cell(sparkline(list(tally.latencies_s), SPARK), Tone.DIM),
        Cell(str(tally.calls)),
        Cell(percent(tally.failed / tally.calls) if tally.calls else NONE, Tone.BAD if tally.failed else Tone.DIM),
    )


def health(tally: AgentTally) -> Cell:
    """Return whether an agent is well: left alone by its breaker, failing, busy or idle.

    >>> health(AgentTally(failing=4)).text, health(AgentTally(under_way=2)).text
    ('x fails 4', '> busy 2')
    """
    if tally.resting:
        return Cell("x rests", Tone.BAD)
    if tally.failing >= FAILING:
        return Cell(f"x fails {tally.failing}", Tone.BAD)
    if tally.under_way:
        return Cell(f"> busy {tally.under_way}", Tone.ACCENT)
    return Cell("+ well", Tone.GOOD) if tally.calls else Cell(NONE, Tone.DIM)


def worth(tally: AgentTally) -> Cell:
    """Return the mean score of an agent with its interval.

    >>> worth(AgentTally()).text
    '-'
    """
    mean, interval = tally.worth.mean, tally.worth.interval()
    if mean is None or interval is None:
        return Cell(NONE, Tone.DIM)
    low, high = interval
    return Cell(f"{mean:.2f} {low:.2f}-{high:.2f}", Tone.GOOD if mean >= 0.5 else Tone.BAD)


def price(card: AgentCard | None, tally: AgentTally) -> Cell:
    """Return what a call costs: what was paid in the mean, else what the agent declares, with a star."""
    paid = tally.mean_cost_usd
    if paid is not None:
        return Cell(money(paid))
    declared: Decimal | None = None if card is None else card.price_per_call_usd
    return Cell(NONE if declared is None else f"{money(declared)}*", Tone.DIM)


def card_text(card: AgentCard | None, tally: AgentTally) -> str:
    """Return all that is known of an agent, in lines."""
    lines = ["no card is stored" if card is None else escape(f"{card.id}: {card.description}")]
    if card is not None:
        lines += [f"skills: {', '.join(map(escape, card.skills))}"] if card.skills else []
        lines += [f"group: {escape(card.group)}"] if card.group else []
        lines += [f"example: {escape(example)}" for example in card.examples[:3]]
        lines.append(f"declares {_declared(card)}")
    lines.append(f"{tally.calls} calls, {tally.failed} failed, {tally.worth.count} scores, {money(tally.cost_usd)} USD")
    return "\n".join(lines)


def sorted_ids(tallies: Mapping[AgentId, AgentTally], cards: Mapping[AgentId, AgentCard]) -> list[AgentId]:
    """Return all agents, those that are asked most first."""
    known = {*tallies, *cards}
    return sorted(known, key=lambda agent_id: (-_chosen(tallies, agent_id), agent_id))


def _chosen(tallies: Mapping[AgentId, AgentTally], agent_id: AgentId) -> int:
    tally = tallies.get(agent_id)
    return 0 if tally is None else tally.chosen


def _declared(card: AgentCard) -> str:
    prices = {
        "USD a call": card.price_per_call_usd,
        "USD per million tokens in": card.price_in_per_m_usd,
        "USD per million tokens out": card.price_out_per_m_usd,
    }
    said = [f"{amount} {what}" for what, amount in prices.items() if amount is not None]
    said += [f"{card.latency_s:g} s"] if card.latency_s is not None else []
    said += [f"{card.max_concurrency} calls at once"] if card.max_concurrency is not None else []
    return ", ".join(said) or "no price"
