"""``agentmesh bench FOLDER...``: routers measured on recorded sets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import click

from agentmesh.cli.options import json_option
from agentmesh.cli.output import print_drawn, print_text, shown_on
from agentmesh.cli.text import escape_line


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...")
@click.option("--routers", metavar="A,B", help="Measure these; those that need no long training by default.")
@click.option(
    "--split", type=click.Choice(("test", "val")), default="test", show_default=True, help="What to score on."
)
@click.option(
    "--embedder", metavar="NAME", help="static, hashing, onnx or remote. [AGENTMESH_EMBEDDER; default: static]"
)
@click.option("--seed", type=int, default=0, show_default=True, help="Fixes every draw.")
@json_option
def bench(
    folders: tuple[str, ...],
    routers: str | None,
    split: Literal["val", "test"],
    embedder: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Measure routers on the recorded sets in FOLDER..., everything tunable chosen on val."""
    from agentmesh.bench import report as reports
    from agentmesh.bench.run import bench as measure
    from agentmesh.embed.named import embedder_named

    names = None if routers is None else named(routers)
    embeds = embedder_named(embedder)
    finished = []
    for folder in folders:
        with telling() as say:
            finished.append(measure(folder, routers=names, split=split, embedder=embeds, seed=seed, progress=say))
        if not as_json:
            print_drawn(reports.render(finished[-1]))
    if as_json:
        print_text(reports.to_json(finished))


def named(routers: str) -> list[str]:
    """Return the names in a list with commas.

    >>> named("knn, linear")
    ['knn', 'linear']
    """
    names = [name.strip() for name in routers.split(",") if name.strip()]
    if not names:
        raise click.BadParameter(f"{routers!r} names no router; accepted is a list such as 'knn,linear'.")
    return names


@contextmanager
def telling() -> Iterator[Callable[[str], None] | None]:
    """Show on stderr what is being done; ``None`` where nobody would see it."""
    console = shown_on("stderr")
    if console is None:
        yield None
        return
    with console.status("reading") as status:
        yield lambda doing: status.update(escape_line(doing).replace("[", r"\["))
