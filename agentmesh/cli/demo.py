"""``agentmesh demo``: a router learns on 700 real questions while a bar shows what it earns and spends."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import json_option
from agentmesh.cli.output import print_drawn, print_json, shown_on

if TYPE_CHECKING:
    from agentmesh.demo.records import Progress


@click.command()
@click.option(
    "--db", metavar="URL", help="A new database. [default: sqlite:///agentmesh-demo.db, or the next free number]"
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Ask only the first N of the 700 questions.")
@json_option
def demo(db: str | None, limit: int | None, as_json: bool) -> None:
    """Watch a router learn which of 12 recorded models to ask, on 700 real questions, offline."""
    from agentmesh.demo.report import render
    from agentmesh.demo.run import fresh_store_url, run_demo

    url = db if db is not None else fresh_store_url(Path())
    with bar() as progress:
        result = asyncio.run(run_demo(url, limit=limit, progress=progress))
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        print_drawn(render(result))


@contextmanager
def bar() -> "Iterator[Callable[[Progress], None] | None]":
    """Show a bar on stderr while the demo runs; ``None`` where nobody would see it."""
    console = shown_on("stderr")
    if console is None:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as drawn:
        task = drawn.add_task("the routers beside it first", total=None)

        def advance(so_far: "Progress") -> None:
            worth = f"quality {so_far.quality:.3f}, {so_far.cost_usd_per_1k:.3f} USD per 1,000"
            drawn.update(task, completed=so_far.done, total=so_far.total, description=worth)

        yield advance
