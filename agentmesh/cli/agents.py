"""``agentmesh agents``: who can act, what they are worth, which are taken for one another, how to describe them."""

from typing import TYPE_CHECKING

import click

from agentmesh.cli.agents_describe import describe
from agentmesh.cli.agents_overlap import overlap
from agentmesh.cli.agents_probe import probe
from agentmesh.cli.options import app_option, db_option, json_option
from agentmesh.cli.output import print_json, print_table
from agentmesh.cli.target import known_agents
from agentmesh.display import shorten

if TYPE_CHECKING:
    from agentmesh.records import AgentCard


@click.group()
def agents() -> None:
    """List the agents of a mesh or of a database, measure them, compare and describe their cards."""


agents.add_command(probe)
agents.add_command(overlap)
agents.add_command(describe)


@agents.command("list")
@app_option
@db_option
@json_option
def list_agents(app: str | None, db: str | None, as_json: bool) -> None:
    """List the agents of your mesh; without one, those of the newest run in the database."""
    cards = known_agents(app, db)
    if as_json:
        print_json([card.model_dump(mode="json") for card in cards])
        return
    rows = [(card.id, price(card), ", ".join(card.skills), shorten(card.description, 70)) for card in cards]
    print_table(("agent", "price", "skills", "description"), rows)


def price(card: "AgentCard") -> str:
    """Return what a call, or what tokens cost, in a few words.

    >>> from agentmesh.records import AgentCard
    >>> price(AgentCard(id="a", description="b", price_per_call_usd="0.002"))
    '0.002 USD a call'
    """
    if card.price_per_call_usd is not None:
        return f"{card.price_per_call_usd.normalize():f} USD a call"
    if card.price_in_per_m_usd is not None and card.price_out_per_m_usd is not None:
        read, written = (value.normalize() for value in (card.price_in_per_m_usd, card.price_out_per_m_usd))
        return f"{read:f} / {written:f} USD per M tokens"
    return "unknown"
