"""``agentmesh knowledge``: a graph of past tasks and what came of them, built, looked at, and taken along."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentmesh.cli.bench import telling
from agentmesh.cli.knowledge_show import show_summary
from agentmesh.cli.options import json_option
from agentmesh.cli.output import note, print_json, print_text
from agentmesh.errors import ConfigError

if TYPE_CHECKING:
    from agentmesh.knowledge import KnowledgeGraph
    from agentmesh.learning.knowledge import Gathered

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def knowledge() -> None:
    """Build a knowledge graph of past tasks, show it, or export it."""


@knowledge.command()
@click.option("--from", "source", metavar="SET|URL", required=True, help="A recorded set, or the URL of a database.")
@click.option("--out", type=FILE, metavar="FILE.json", required=True, help="Write to FILE; continued if it is there.")
@click.option("--fresh", is_flag=True, help="Begin anew, whatever FILE holds.")
@click.option("--embedder", metavar="NAME", help="That of your mesh. [AGENTMESH_EMBEDDER; default: static]")
@json_option
def build(source: str, out: Path, fresh: bool, embedder: str | None, as_json: bool) -> None:
    """Build the graph of a recorded set or of a database, and write it to a file.

    Test rows of a set are never read. A file that was built from the same database is continued with what is new in it.
    """
    from agentmesh.knowledge import to_json
    from agentmesh.routing.state_file import write_whole

    before = read_graph(out) if out.exists() and not fresh else None
    had = sizes(before)
    gathered = gathered_from(source, embedder, before)
    write_whole(out, to_json(gathered.graph).encode())
    has = sizes(gathered.graph)
    if as_json:
        added = {name: count - had[name] for name, count in has.items()}
        print_json({**about(gathered, out), "added": added, "total": has})
    else:
        print_text(account(gathered, out, had))


@knowledge.command()
@click.argument("file", required=False, type=FILE)
@click.option("--from", "source", metavar="SET|URL", help="Instead of FILE: a recorded set, or the URL of a database.")
@click.option("--embedder", metavar="NAME", help="With --from. [AGENTMESH_EMBEDDER; default: static]")
@json_option
def show(file: Path | None, source: str | None, embedder: str | None, as_json: bool) -> None:
    """Show what is in the graph in FILE, or in that of a recorded set or database."""
    from agentmesh.knowledge import summary_of

    if (file is None) == (source is None):
        raise click.UsageError("give either FILE or --from SET|URL.")
    graph = read_graph(file) if file is not None else gathered_from(str(source), embedder, None).graph
    summary = summary_of(graph)
    if as_json:
        print_json(summary.model_dump(mode="json"))
    else:
        show_summary(summary)


@knowledge.command()
@click.argument("file", type=FILE)
@click.option(
    "--format",
    "kind",
    type=click.Choice(("json", "graphml")),
    default="json",
    show_default=True,
    help="The graph itself, or nodes and edges for other programs.",
)
@click.option("--out", type=FILE, metavar="OUT", required=True, help="Write to OUT.")
@json_option
def export(file: Path, kind: str, out: Path, as_json: bool) -> None:
    """Write the graph in FILE as JSON, or as GraphML without vectors."""
    from agentmesh.knowledge import to_graphml, to_json
    from agentmesh.routing.state_file import write_whole

    graph = read_graph(file)
    write_whole(out, (to_graphml(graph) if kind == "graphml" else to_json(graph)).encode())
    if as_json:
        print_json({"file": str(out), "format": kind, "total": sizes(graph)})
    else:
        note(f"the graph of {graph.source!r} is written to {str(out)!r}")


def read_graph(path: Path) -> "KnowledgeGraph":
    """Read the graph in a file.

    Raises:
        ConfigError: the file cannot be read, or holds no graph.
    """
    from agentmesh.knowledge import from_json

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{str(path)!r} cannot be read: {error.strerror}; name a file that 'knowledge build' wrote"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{str(path)!r} is no text; name a file that 'knowledge build' wrote") from error
    try:
        return from_json(text)
    except ConfigError as error:
        raise ConfigError(f"{str(path)!r}: {error}") from error


def gathered_from(source: str, embedder: str | None, graph: "KnowledgeGraph | None") -> "Gathered":
    """Build the graph of a source, or continue the one given."""
    from agentmesh.embed.named import embedder_named
    from agentmesh.learning.knowledge import gather_knowledge

    with telling() as say:
        return gather_knowledge(source, embedder_named(embedder), graph=graph, say=say)


def sizes(graph: "KnowledgeGraph | None") -> dict[str, int]:
    """Return how many tasks, agents, entities and outcomes there are."""
    if graph is None:
        return {"tasks": 0, "agents": 0, "entities": 0, "outcomes": 0}
    return {
        "tasks": graph.count("task"),
        "agents": graph.count("agent"),
        "entities": graph.count("entity"),
        "outcomes": sum(1 for _ in graph.outcomes()),
    }


def about(gathered: "Gathered", out: Path) -> "dict[str, str | int]":
    """Return where a graph is, what it was built from, and how far it has come."""
    graph = gathered.graph
    return {
        "file": str(out),
        "source": graph.source,
        "embedder": graph.embedder,
        "sequence": graph.sequence,
        "taken": gathered.taken,
        "passed_over": gathered.passed_over,
    }


def account(gathered: "Gathered", out: Path, had: dict[str, int]) -> str:
    """Tell in lines what was added, and what the file holds now."""
    has = sizes(gathered.graph)
    added = ", ".join(f"{count - had[name]:+d} {name}" for name, count in has.items())
    held = ", ".join(f"{count} {name}" for name, count in has.items())
    lines = [f"{out}: {added} from {gathered.graph.source}", f"it holds {held}"]
    if gathered.passed_over:
        lines.append(f"{gathered.passed_over} experiences could not be taken in and were passed over")
    return "\n".join(lines)
