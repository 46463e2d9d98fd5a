"""``agentmesh router export-sft``: rows to train a reasoning model on, from what was scored or recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import db_option, json_option, number
from agentmesh.cli.output import print_json, print_text
from agentmesh.cli.target import open_traces

if TYPE_CHECKING:
    from agentmesh.learning.sft import SftOptions, SftRow


@click.command("export-sft")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    help="Write JSON lines here.",
)
@click.option("--from", "folder", metavar="SET", help="A recorded set in place of a database; no test rows.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(("rows", "messages")),
    default="rows",
    show_default=True,
    help="Fields to make a prompt of, or chats with the reasoning router's own prompt.",
)
@click.option("--cards", type=click.IntRange(min=1), default=12, show_default=True, help="Agents that a row shows.")
@click.option("--most", type=click.IntRange(min=1), default=3, show_default=True, help="Right agents that a row names.")
@click.option("--seed", type=int, default=0, show_default=True, help="What fixes draws and order.")
@click.option(
    "--least-quality", type=number(0, 1), default=0.5, show_default=True, help="From which score an agent is right."
)
@db_option
@json_option
def export_sft(
    out: Path,
    folder: str | None,
    kind: str,
    cards: int,
    most: int,
    seed: int,
    least_quality: float,
    db: str | None,
    as_json: bool,
) -> None:
    """Write rows to train a reasoning model on: {task, turns, cards, reason, ids, reasoned}, or {messages}.

    The texts of tasks, turns, cards and reasons are written in the clear, as they were stored: look through FILE before
    you hand it on.

    Cards are shuffled and, past --cards, drawn; the right agents are always among them. From a database, the agents
    whose answers were scored well enough are right, and a run without one makes no row. From a recorded set, a task out
    of scope makes a row without ids. The reason is a model's where one named a right agent, else drafted from cards.
    """
    from agentmesh.learning.sft import SftOptions
    from agentmesh.learning.sft_chat import chat_row
    from agentmesh.learning.sft_file import write_rows

    if folder is not None and db is not None:
        raise click.UsageError("give --from SET or --db URL, not both.")
    options = SftOptions(cards=cards, most_right=most, least_quality=least_quality, seed=seed)
    with rows_from(folder, db, options) as rows:
        written = write_rows(out, rows, shaped=partial(chat_row, most=most) if kind == "messages" else None)
    if as_json:
        print_json({"out": str(out), **written.model_dump(mode="json")})
        return
    print_text(
        f"{written.rows} rows are written to {str(out)!r}: "
        f"{written.nobody} where nobody fits, {written.reasoned} with a model's reason; texts are in the clear"
    )


@contextmanager
def rows_from(folder: str | None, db: str | None, options: "SftOptions") -> "Iterator[Iterator[SftRow]]":
    """Yield the rows of a set or of a database, which is open meanwhile."""
    from agentmesh.learning.sft import rows_of_set, rows_of_store
    from agentmesh.recorded import load_set

    if folder is not None:
        yield rows_of_set(load_set(folder), options)
        return
    with open_traces(db) as store:
        yield rows_of_store(store, options)
