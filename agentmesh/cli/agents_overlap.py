"""``agentmesh agents overlap``: which agents will be taken for one another, and which are never picked."""

from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import app_option, db_option, json_option
from agentmesh.cli.output import note, print_json, print_table, print_text
from agentmesh.cli.target import known_agents, open_traces

if TYPE_CHECKING:
    from agentmesh.learning.overlap import Neighbour, Overlap, OverlappingPair, Unpicked

MEASURED_ON = (
    "expected: the share of the two agents' tasks that lies nearer to the other card, foretold from the cosine of the "
    "cards and their examples; measured on the val tasks of clinc150 and hwu64"
)


@click.command()
@app_option
@db_option
@click.option("--embedder", metavar="NAME", help="That of your mesh, where only --db is given. [AGENTMESH_EMBEDDER]")
@click.option("--most", type=click.IntRange(min=1), default=10, show_default=True, help="List so many pairs.")
@click.option(
    "--last", type=click.IntRange(min=1), default=1000, show_default=True, help="Read so many of the newest decisions."
)
@json_option
def overlap(app: str | None, db: str | None, embedder: str | None, most: int, last: int, as_json: bool) -> None:
    """List the pairs of agents whose cards will be confused, and the agents that are never picked.

    Cards are those of your mesh; without one, those of the newest run in the database. Decisions are read where --db
    is given, or where there is no mesh. Examples on cards are held out one by one: strayed ones lie nearer to the other
    card.
    """
    found = overlap_found(app, db, embedder=embedder, most=most, last=last)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    columns = ("agents", "cosine", "expected", "strayed examples", "close calls", "mean margin")
    print_table(columns, [pair_row(pair) for pair in found.pairs])
    print_text("")
    print_table(("agent", "nearest other", "cosine", "expected"), [neighbour_row(one) for one in found.neighbours])
    if found.unpicked:
        print_text("")
        print_table(
            (f"never picked in {found.decisions} decisions", "could have been", "by chance", "chance of never"),
            [unpicked_row(one) for one in found.unpicked],
        )
    measured = any(one.expected_confusion is not None for one in found.neighbours)
    note(MEASURED_ON if measured else f"with {found.embedder} no confusion was measured: pairs are ranked by cosine")


def overlap_found(app: str | None, db: str | None, *, embedder: str | None, most: int, last: int) -> "Overlap":
    """Compare the cards of the mesh or database that is named, and read its decisions where there are any to read."""
    import asyncio

    from agentmesh.cli.target import load_mesh, named_mesh
    from agentmesh.embed.named import embedder_named
    from agentmesh.learning.overlap import overlap_of
    from agentmesh.learning.picks import picks_of

    name = named_mesh(app, db)
    mesh = asyncio.run(load_mesh(name)) if name else None
    cards = known_agents(None, db) if mesh is None else mesh.cards()
    used = embedder_named(embedder) if mesh is None or embedder else mesh.registry.embedder
    picks = None
    if db is not None or mesh is None:
        with open_traces(db) as store:
            picks = picks_of(store, newest=last)
    return overlap_of(cards, used, picks=picks, most=most)


def pair_row(pair: "OverlappingPair") -> tuple[str, ...]:
    """Return the line of a pair."""
    return (
        " / ".join(pair.agents),
        f"{pair.cosine:.3f}",
        share(pair.expected_confusion),
        f"{pair.strayed:g} of {pair.examples}" if pair.examples else "-",
        str(pair.close_calls) if pair.close_calls else "-",
        "-" if pair.margin is None else f"{pair.margin:.3f}",
    )


def neighbour_row(one: "Neighbour") -> tuple[str, ...]:
    """Return the line of an agent and its nearest other."""
    return (one.agent_id, one.nearest, f"{one.cosine:.3f}", share(one.expected_confusion))


def unpicked_row(one: "Unpicked") -> tuple[str, ...]:
    """Return the line of an agent that was never picked."""
    return (one.agent_id, str(one.eligible), f"{one.expected:.1f}", f"{one.chance:.2g}")


def share(value: float | None) -> str:
    """Return a share as text.

    >>> share(0.1153), share(None)
    ('11.5 %', '-')
    """
    return "-" if value is None else f"{100 * value:.1f} %"
