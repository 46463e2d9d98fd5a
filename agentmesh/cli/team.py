"""``agentmesh team``: fit a team on what is known of its agents' answers, and look at one."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentmesh.cli.bench import telling
from agentmesh.cli.options import db_option, json_option, number
from agentmesh.cli.output import note, print_json, print_table, print_text
from agentmesh.cli.target import open_traces

if TYPE_CHECKING:
    from agentmesh.bench.team_fit import Expected, FittedTeam
    from agentmesh.graphs.equality import EquivalenceName
    from agentmesh.graphs.team import Team

FORMS = ("text", "number", "choice", "json", "auto")


@click.group()
def team() -> None:
    """Fit a team of agents that are asked one after the other, or show one."""


@team.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False))
@db_option
@click.option("--quality", type=number(0, 1), metavar="Q", help="The cheapest team of at least this quality.")
@click.option("--usd-per-1k", type=number(open_low=True), metavar="USD", help="The best team at this cost at most.")
@click.option("--equivalence", type=click.Choice(FORMS), default="auto", show_default=True, help="What is equal.")
@click.option(
    "--embedder", metavar="NAME", help="For a FOLDER: that of your mesh. [AGENTMESH_EMBEDDER; default: static]"
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the team to FILE.")
@json_option
def fit(
    folder: str | None,
    db: str | None,
    quality: float | None,
    usd_per_1k: float | None,
    equivalence: "EquivalenceName",
    embedder: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Fit a team on the recorded set FOLDER, or on the runs in your database in which several agents were scored.

    By default it is the best team at no more than the cost of the best single agent. Team.read(FILE) reads it.
    """
    from agentmesh.bench.team_fit import Goal, fit_team_on_log, fit_team_on_set
    from agentmesh.embed.named import embedder_named
    from agentmesh.routing.progress import unsaid
    from agentmesh.routing.state_file import write_whole

    goal = Goal(quality, usd_per_1k)
    with telling() as say:
        told = say or unsaid
        if folder is not None:
            found = fit_team_on_set(folder, embedder_named(embedder), goal=goal, equivalence=equivalence, say=told)
        else:
            with open_traces(db) as store:
                found = fit_team_on_log(store, goal=goal, equivalence=equivalence, say=told)
    if out is not None:
        write_whole(out, (found.team.model_dump_json() + "\n").encode())
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    if out is None:
        print_text(found.team.model_dump_json())
    tell(found, out)


def tell(found: "FittedTeam", out: Path | None) -> None:
    """Say what was fitted, and what to expect of it."""
    lines = [
        f"fitted on {found.tasks} tasks from {found.source}; expected where they were not fitted on:",
        f"  {', '.join(found.agents)}, asked in turn: {_worth(found.planned)}",
        f"  without the plan, {found.team.first} at first, stopping at {found.team.stop:g}: {_worth(found.unplanned)}",
        f"  {found.best_single} alone: {_worth(found.single)}",
    ]
    if out is not None:
        lines.append(f"the team is written to {str(out)!r}; Mesh(..., team=Team.read({str(out)!r})) uses it")
    for line in lines:
        note(line)


def _worth(expected: "Expected") -> str:
    return f"quality {expected.quality:.3f}, {expected.cost_usd_per_1k:.3g} USD for 1,000 tasks"


@team.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def show(file: Path, as_json: bool) -> None:
    """Show the team in FILE: who is in it, when it stops, and what equal answers are."""
    from agentmesh.graphs.team import Team

    found = Team.read(file)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_table(("what", "value"), rows_of(found))


def rows_of(found: "Team") -> list[tuple[str, str]]:
    """Return what is to be told of a team.

    >>> from agentmesh.graphs.team import Team
    >>> rows_of(Team(most=2))[1]
    ('agents that may be asked', '2')
    """
    rows = [
        ("name", found.fingerprint),
        ("agents that may be asked", str(found.most)),
        ("equal answers", found.equivalence),
        ("without a plan: first asked", str(found.first)),
        ("without a plan: stops at", f"{found.stop:g}"),
    ]
    if found.plan is not None:
        rows += [
            ("plan of", ", ".join(found.plan.agents)),
            ("quality a dollar must bring", f"{found.plan.usd_price:.4g}"),
        ]
    return rows
