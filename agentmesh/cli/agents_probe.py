"""``agentmesh agents probe``: what agents are worth, by asking them, or from the scores in a database."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentmesh.cli.options import app_option, db_option, dollars, json_option, number
from agentmesh.cli.output import note, print_json, print_table
from agentmesh.cli.target import load_mesh, named_app, open_traces
from agentmesh.display import seconds, usd
from agentmesh.errors import ConfigError

if TYPE_CHECKING:
    from agentmesh.learning.measured import Measured, Skill
    from agentmesh.learning.probe_tasks import ProbeTask
    from agentmesh.learning.probing import ProbeReport
    from agentmesh.mesh import Mesh
    from agentmesh.records import Limits

OVER_BUDGET = 4
COLUMNS = ("agent", "kind", "n", "quality", "95 %", "cost", "latency", "failures", "claimed")


@click.command()
@app_option
@click.option("--set", "folder", metavar="FOLDER", help="A recorded set; tasks with a right answer, no test rows.")
@click.option(
    "--tasks",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="JSON lines: text, and gold, id, type_hint, skills where you have them.",
)
@click.option("--agent", "only", multiple=True, metavar="ID", help="Ask this agent only; may be given several times.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Draw N of the tasks.")
@click.option("--seed", type=int, default=0, show_default=True, help="What fixes the draw.")
@click.option("--max-cost", "cost_usd", type=dollars, metavar="USD", help="Spend at most this, by estimates.")
@click.option(
    "--timeout", "timeout_s", type=number(open_low=True), metavar="SECONDS", help="Wait so long for one answer."
)
@click.option("--at-once", type=click.IntRange(min=1), default=4, show_default=True, help="Calls under way at a time.")
@db_option
@json_option
def probe(
    app: str | None,
    folder: str | None,
    file: Path | None,
    only: tuple[str, ...],
    limit: int | None,
    seed: int,
    cost_usd: Decimal | None,
    timeout_s: float | None,
    at_once: int,
    db: str | None,
    as_json: bool,
) -> int:
    """Measure the agents of your mesh on tasks with known right answers; nothing is stored, no router learns.

    An answer is scored by your mesh's verifiers, else by whether it is the same as the right answer. A call that fails
    counts as quality 0.

    With --db alone nobody is asked: the scores in the database are summed up, beside what the cards claim. There each
    agent was scored on the tasks that a router chose it for, so two agents were not measured on the same tasks.
    """
    if (folder is not None) + (file is not None) + (db is not None) != 1:
        raise click.UsageError("give one of --set FOLDER, --tasks FILE and --db URL.")
    if db is not None:
        tell_stored(db, only, as_json=as_json)
        return 0
    from agentmesh.records import Limits

    tasks = read_tasks(folder, file, limit=limit, seed=seed)
    limits = Limits(cost_usd=cost_usd, call_timeout_s=timeout_s)
    report = asyncio.run(probed(named_app(app), tasks, only=only, limits=limits, at_once=at_once))
    tell_report(report, as_json=as_json)
    return OVER_BUDGET if report.refused else 0


def read_tasks(folder: str | None, file: Path | None, *, limit: int | None, seed: int) -> "list[ProbeTask]":
    """Read the tasks of a set or of a file, and draw some of them."""
    from agentmesh.learning.probe_tasks import drawn, tasks_of_file, tasks_of_set

    tasks = tasks_of_set(folder) if folder is not None else tasks_of_file(file or Path())
    return drawn(tasks, limit, seed=seed)


async def probed(
    name: str, tasks: "Sequence[ProbeTask]", *, only: Sequence[str], limits: "Limits", at_once: int
) -> "ProbeReport":
    """Load the mesh called ``name`` and put its agents to the tasks; the mesh itself is not opened."""
    from agentmesh.graphs.limits import Budget
    from agentmesh.learning.probing import CALL_TIMEOUT_S, Member, Prober

    mesh = await load_mesh(name)
    team = [Member(mesh.registry.get(agent_id), mesh.registry.card(agent_id)) for agent_id in wanted(mesh, only)]
    prober = Prober(
        tasks,
        mesh.verifiers,
        purse=Budget(limits),
        call_timeout_s=limits.call_timeout_s or CALL_TIMEOUT_S,
        at_once=at_once,
    )
    return await prober.probe(team)


def wanted(mesh: "Mesh", only: Sequence[str]) -> list[str]:
    """Return the ids to ask, each once: those that were named, or all."""
    return list(dict.fromkeys(only)) or [card.id for card in mesh.cards()]


def tell_report(report: "ProbeReport", *, as_json: bool) -> None:
    """Print what a probe found, and on stderr what it cost and what went wrong."""
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        print_skills(report.skills)
    note(f"{report.calls} calls on {report.tasks} tasks | {usd(report.cost_usd)}")
    if report.unscored:
        note(f"{report.unscored} answers could not be scored: give their tasks a right answer, or the mesh a verifier")
    if report.refused:
        note(f"{report.refused} calls did not fit the limit and were not made")
    for problem in report.problems:
        note(problem)


def tell_stored(db: str, only: Sequence[str], *, as_json: bool) -> None:
    """Print what the scores in a database say."""
    from agentmesh.learning.measured import measured_skills

    with open_traces(db) as store:
        skills = measured_skills(store)
    known = [skill.agent_id for skill in skills]
    for agent_id in only:
        if agent_id not in known:
            raise ConfigError(f"no agent has the id {agent_id!r} in {db!r}; known are: {', '.join(map(repr, known))}")
    found = [skill for skill in skills if not only or skill.agent_id in only]
    if as_json:
        print_json({"skills": [skill.model_dump(mode="json") for skill in found]})
    else:
        print_skills(found)
        note("each agent was scored on the tasks it was chosen for: no two of them on the same tasks")


def print_skills(skills: "Sequence[Skill]") -> None:
    """Print a line for each agent, and one for each kind of task that it was measured on."""
    print_table(COLUMNS, [row for skill in skills for row in rows_of(skill)])


def rows_of(skill: "Skill") -> list[tuple[str, ...]]:
    """Return the lines of one agent; claimed skills that no scored task was of have a line too."""
    claimed = {claim.casefold() for claim in skill.claims}
    rows = [row_of(skill.agent_id, skill.overall, ", ".join(skill.claims))]
    rows += [row_of("", kind, "yes" if kind.kind.casefold() in claimed else "no") for kind in skill.kinds]
    return rows + [("", claim, "0", "-", "-", "-", "-", "-", "yes, not measured") for claim in skill.unproven]


def row_of(agent_id: str, found: "Measured", claimed: str) -> tuple[str, ...]:
    """Return one line."""
    quality = "-" if found.quality is None else f"{found.quality:.3f}"
    bounds = "-" if found.quality is None else f"{found.low:.3f} to {found.high:.3f}"
    failures = "-" if found.failures is None else str(found.failures)
    cost = "unknown" if found.cost_usd is None else usd(found.cost_usd)
    kind = found.kind or "(all)"
    return (agent_id, kind, str(found.n), quality, bounds, cost, seconds(found.latency_s), failures, claimed)
