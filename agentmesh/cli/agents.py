"""``agentmesh agents list``: who can act, from the user's mesh or from the newest run of a database."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import app_option, db_option, json_option
from agentmesh.cli.output import print_json, print_table
from agentmesh.cli.target import load_mesh, open_traces
from agentmesh.cli.text import shorten
from agentmesh.settings import Settings

if TYPE_CHECKING:
    from agentmesh.records import AgentCard
    from agentmesh.store import TraceStore


@click.group()
def agents() -> None:
    """List the agents of a mesh or of a database."""


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


def known_agents(app: str | None, db: str | None) -> "Sequence[AgentCard]":
    """Return the cards of the mesh that is named; of the database when it is named, or when no mesh is."""
    name = app if app is not None or db is not None else Settings.load().app
    if name:
        return asyncio.run(load_mesh(name)).cards()
    with open_traces(db) as store:
        return newest_cards(store)


def newest_cards(store: "TraceStore") -> "Sequence[AgentCard]":
    """Return the cards that were registered at the newest run; none when nothing was run."""
    from agentmesh.events import RunStarted

    newest = store.runs(limit=1)
    if not newest:
        return ()
    started = next(event for event in store.events(newest[0].id) if isinstance(event, RunStarted))
    return store.registry(started.registry_version).cards


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
