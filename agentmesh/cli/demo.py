"""``agentmesh demo``: a router learns on 700 real questions while a bar shows what it earns and spends."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentmesh.addresses import without_password
from agentmesh.cli.options import json_option
from agentmesh.cli.output import print_drawn, print_json, print_text, shown_on
from agentmesh.cli.watch import check_terminal, theme_option

if TYPE_CHECKING:
    from agentmesh.demo.records import Progress


@click.command()
@click.option(
    "--db", metavar="URL", help="A new database. [default: sqlite:///agentmesh-demo.db, or the next free number]"
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Ask only the first N of the 700 questions.")
@click.option("--watch", is_flag=True, help="Show question for question in an app, at a pace to follow.")
@theme_option
@json_option
def demo(db: str | None, limit: int | None, watch: bool, theme: str | None, as_json: bool) -> None:
    """Watch a router learn which of 12 recorded models to ask, on 700 real questions, offline."""
    from agentmesh.demo.report import render
    from agentmesh.demo.run import fresh_store_url, run_demo

    if watch:
        check_terminal("'agentmesh demo' works without")
    url = db if db is not None else fresh_store_url(Path())
    if watch:
        show(url, limit, theme, as_json)
        return
    with bar() as progress:
        result = asyncio.run(run_demo(url, limit=limit, progress=progress))
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        print_drawn(render(result))


def show(url: str, limit: int | None, theme: str | None, as_json: bool) -> None:
    """Show the demo in the app until it is left, and say what it earned."""
    from agentmesh.demo.earned import in_the_end
    from agentmesh.tui.demo import watch_demo

    gc.freeze()  # as in agentmesh watch
    came = asyncio.run(watch_demo(url, limit=limit, theme=theme))
    if as_json:
        print_json(None if came is None else came.model_dump(mode="json"))
    elif came is not None:
        print_text(f"{in_the_end(came)}\nAll of it is stored: agentmesh watch --db {without_password(url)}")


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
