"""``agentmesh router train NAME --from SOURCE``: what is known already, learned before the first task."""

import json
from typing import TYPE_CHECKING

import click

from agentmesh.cli.bench import telling
from agentmesh.cli.options import json_option
from agentmesh.cli.output import print_json, print_text
from agentmesh.cli.router_training import told
from agentmesh.settings import Settings

if TYPE_CHECKING:
    from agentmesh.learning.training import Training
    from agentmesh.records import RouterMark
    from agentmesh.types import JsonValue


def argument(text: str) -> "tuple[str, JsonValue]":
    """Read ``name=value``; the value is JSON, and text where it is none.

    >>> argument("clusters=16"), argument("mixture=hard")
    (('clusters', 16), ('mixture', 'hard'))
    """
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals):
        raise click.BadParameter(f"{text!r} cannot be read; accepted is 'name=value', such as 'clusters=16'.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@click.command()
@click.argument("name")
@click.option("--from", "source", metavar="SET|URL", required=True, help="A recorded set, or the URL of a database.")
@click.option("--db", metavar="URL", help="Where your mesh keeps its traces; made when it is missing. [AGENTMESH_DB]")
@click.option("--set", "arguments", type=argument, multiple=True, metavar="ARG=VALUE", help="How to build the router.")
@click.option("--embedder", metavar="NAME", help="That of your mesh. [AGENTMESH_EMBEDDER; default: static]")
@json_option
def train(
    name: str,
    source: str,
    db: str | None,
    arguments: "tuple[tuple[str, JsonValue], ...]",
    embedder: str | None,
    as_json: bool,
) -> None:
    """Train the router NAME on a recorded set or on a database, and store it where your mesh finds it.

    Test rows of a set are never read. A mesh with this router, built the same way, and this database serves from what
    was trained when it next comes to it, and learns on.
    """
    from agentmesh.embed.named import embedder_named
    from agentmesh.learning.training import publish_router, train_router
    from agentmesh.routing.named import router_named
    from agentmesh.store import open_store
    from agentmesh.store.opening import is_new

    router, url = router_named(name, dict(arguments)), db if db is not None else Settings.load().db
    if not is_new(url):
        open_store(url).close()  # so that a long training does not end before a closed door
    with telling() as say:
        training = train_router(router, source, embedder_named(embedder), say=say)
    with open_store(url) as store:
        mark = publish_router(store, router, training)
    if as_json:
        version = f"{mark.parameters}@{mark.sequence}"
        print_json({"version": version, **training.model_dump(mode="json"), "mark": mark.model_dump(mode="json")})
    else:
        print_text(account(training, mark))


def account(training: "Training", mark: "RouterMark") -> str:
    """Tell in lines what was learned, what it is worth, and what holds from now on."""
    from agentmesh.routing.progress import lasting

    lines = [
        f"{training.router} has learned {training.outcomes} outcomes of {training.agents} agents "
        f"on {training.tasks} tasks from {training.source}"
    ]
    lines += [f"  {line}" for line in told(training.card)]
    if training.refused:
        lines.append(f"{training.refused} experiences could not be learned and were passed over")
    held_out = training.held_out
    if held_out is not None:
        lines.append(
            f"checked on {held_out.tasks} val tasks, fitted on train alone: quality {held_out.quality:.3f}; "
            f"best single agent on train, {held_out.best_single}: {held_out.best_single_quality:.3f}"
        )
    if training.card:
        lines.append(f"it took {lasting(training.seconds)} in all")
    lines.append(f"version {mark.parameters}@{mark.sequence} holds for {mark.router} from here on")
    return "\n".join(lines)
