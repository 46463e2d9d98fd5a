"""``agentmesh agents describe``: a description drafted from examples by a chat model; nothing is changed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentmesh.cli.agents_overlap import share
from agentmesh.cli.options import app_option, db_option, json_option
from agentmesh.cli.output import note, print_json, print_text
from agentmesh.cli.target import known_agents, open_traces
from agentmesh.display import usd
from agentmesh.errors import ConfigError

if TYPE_CHECKING:
    from agentmesh.learning.drafting import Proposal
    from agentmesh.learning.overlap import Neighbour
    from agentmesh.protocols import ChatModel, Embedder
    from agentmesh.records import AgentCard

NEW = "new-agent"
"""What an agent is called that has no card yet."""


@click.command()
@click.option("--agent", "agent_id", metavar="ID", help="The agent to describe; without it a new one, by --from.")
@click.option(
    "--from",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Tasks that it does well, as JSON lines with a text each.",
)
@app_option
@db_option
@click.option("--model", metavar="NAME", help="The chat model that writes. [AGENTMESH_CHAT_MODEL]")
@click.option("--base-url", metavar="URL", help="Its OpenAI-compatible endpoint. [AGENTMESH_CHAT_URL]")
@click.option("--embedder", metavar="NAME", help="What cards are compared with. [AGENTMESH_EMBEDDER]")
@click.option(
    "--examples", "most", type=click.IntRange(1, 20), default=12, show_default=True, help="Show so many tasks."
)
@json_option
def describe(
    agent_id: str | None,
    file: Path | None,
    app: str | None,
    db: str | None,
    model: str | None,
    base_url: str | None,
    embedder: str | None,
    most: int,
    as_json: bool,
) -> None:
    """Have a chat model draft a description from tasks that an agent did well; no card is changed.

    The tasks are those of --from, else the examples on the agent's card and, with --db, the tasks whose answers were
    scored best. They and the cards of the team are sent to the model. The key is AGENTMESH_CHAT_KEY.
    """
    from agentmesh.embed.named import embedder_named
    from agentmesh.llm.named import chat_named

    if agent_id is None and file is None:
        raise click.UsageError("give --agent ID, --from FILE, or both.")
    team = () if agent_id is None and app is None and db is None else known_agents(app, db)
    card = card_of(agent_id, team)
    examples = examples_of(card, file, db, most=most)
    client = chat_named(model, base_url=base_url)
    found = asyncio.run(proposed(client, card, examples, team=team, embedder=embedder_named(embedder)))
    tell(found, as_json=as_json)


def tell(found: "Proposal", *, as_json: bool) -> None:
    """Print the draft, and on stderr who wrote it and what that cost."""
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_text(account(found))
    note(f"{found.model} | {len(found.examples)} tasks shown | {usd(found.cost_usd)}")


def card_of(agent_id: str | None, team: "Sequence[AgentCard]") -> "AgentCard":
    """Return the card of an agent of the team; without an id, an empty card.

    Raises:
        ConfigError: the team has no such agent.
    """
    from agentmesh.records import AgentCard

    if agent_id is None:
        return AgentCard(id=NEW, description="")
    for card in team:
        if card.id == agent_id:
            return card
    known = ", ".join(repr(card.id) for card in team) or "none"
    raise ConfigError(f"no agent has the id {agent_id!r}; known are: {known}")


def examples_of(card: "AgentCard", file: Path | None, db: str | None, *, most: int) -> tuple[str, ...]:
    """Return the tasks to show: of the file, else of the card and of the database."""
    from agentmesh.learning.drafting import tasks_done_well
    from agentmesh.learning.probe_tasks import tasks_of_file

    if file is not None:
        return tuple(one.task.text for one in tasks_of_file(file))[:most]
    done: tuple[str, ...] = ()
    if db is not None:
        with open_traces(db) as store:
            done = tasks_done_well(store, card.id, most=most)
    return tuple(dict.fromkeys((*card.examples, *done)))[:most]


async def proposed(
    client: "ChatModel",
    card: "AgentCard",
    examples: Sequence[str],
    *,
    team: "Sequence[AgentCard]",
    embedder: "Embedder",
) -> "Proposal":
    """Ask the client, and close it."""
    from agentmesh.learning.drafting import propose_description

    try:
        return await propose_description(client, card, examples, others=team, embedder=embedder)
    finally:
        await client.aclose()


def account(found: "Proposal") -> str:
    """Tell the old and the new description, each with its nearest other agent."""
    lines = []
    if found.old:
        lines += [f"old: {found.old}", f"     {nearest(found.before)}"]
    lines += [f"new: {found.new}", f"     {nearest(found.after)}"]
    return "\n".join([*lines, "nothing was changed: put it on the card where you write the agent, if you like it"])


def nearest(found: "Neighbour | None") -> str:
    """Tell the nearest other agent."""
    if found is None:
        return "no other agent to compare with"
    return (
        f"nearest other: {found.nearest}, cosine {found.cosine:.3f}, "
        f"expected confusion {share(found.expected_confusion)}"
    )
