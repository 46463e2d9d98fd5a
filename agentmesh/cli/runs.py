"""``agentmesh runs``: what was stored, as it was stored, where two runs part, how one goes on, which are forgotten."""

import asyncio
from typing import TYPE_CHECKING

import click

from agentmesh.cli.explain import explanation, prepared_in
from agentmesh.cli.options import db_option, json_option, number
from agentmesh.cli.output import note, print_json, print_table, print_text
from agentmesh.cli.run import trace_line, waiting_lines
from agentmesh.cli.runs_diff import diff_runs
from agentmesh.cli.runs_export import STATUSES, export_command, import_command
from agentmesh.cli.runs_fork import fork
from agentmesh.cli.runs_going_on import approve, reject, resume
from agentmesh.cli.runs_prune import prune
from agentmesh.cli.target import open_traces
from agentmesh.display import moment, seconds, shorten, usd
from agentmesh.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentmesh.events import TaskPrepared
    from agentmesh.records import Run, RunSummary
    from agentmesh.store.base import Orphaned, TraceStore


@click.group()
def runs() -> None:
    """List stored runs, show one, compare two, go on with one or fork it; approve, export, import and prune them."""


runs.add_command(approve)
runs.add_command(diff_runs)
runs.add_command(export_command)
runs.add_command(fork)
runs.add_command(import_command)
runs.add_command(prune)
runs.add_command(reject)
runs.add_command(resume)


@runs.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="List at most this many.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Pass over this many of the newest.")
@click.option("--status", type=click.Choice(STATUSES), help="Only those that stand so.")
@click.option("--text", help="Only those whose task contains this.")
@click.option("--reason", help="Only those in whose decision's reason this occurs.")
@click.option("--agent", "agent_id", metavar="ID", help="Only those that called this agent.")
@click.option("--since", type=number(), metavar="UNIX_SECONDS", help="Only those started at or after this time.")
@click.option("--all", "every", is_flag=True, help="Also those that another run started; so does --agent.")
@click.option("--orphaned", is_flag=True, help="Only those that are under way by their logs and whose process is gone.")
@db_option
@json_option
def list_runs(
    limit: int, offset: int, every: bool, orphaned: bool, db: str | None, as_json: bool, **where: str | float | None
) -> None:
    """List stored runs, newest first."""
    from agentmesh.store.base import RunFilter

    with open_traces(db) as store:
        left = asyncio.run(left_alone(store)) if orphaned else None
        alone = not every and not orphaned and where["agent_id"] is None
        wanted = RunFilter(**where, alone=alone, orphaned=left)  # type: ignore[arg-type]  # click has checked each
        page = store.runs_page(wanted, limit=limit, offset=offset)
        found, total = page.runs, store.count_runs(wanted) if page.total is None else page.total
    if as_json:
        print_json([summary.model_dump(mode="json") for summary in found])
        return
    print_table(("run", "started", "status", "agents", "cost", "took", "task"), [_row(summary) for summary in found])
    if len(found) < total:
        note(f"{len(found)} of {total} runs; --limit and --offset show others")


async def left_alone(store: "TraceStore") -> "Orphaned":
    """Return which runs nobody is at work on; who may be gone is watched until that is certain."""
    from agentmesh.store.at_work import orphans_of
    from agentmesh.store.leases import watched

    clock = SystemClock()
    return orphans_of(await watched(store, clock), now=clock.now())


def _row(summary: "RunSummary") -> tuple[str, ...]:
    agents = ", ".join(summary.agents)
    cost, took = usd(summary.cost_usd), seconds(summary.elapsed_s)
    return (summary.id, moment(summary.started_at), summary.status.value, agents, cost, took, shorten(summary.text, 60))


@runs.command("show")
@click.argument("run_id", metavar="RUN")
@click.option("--events", is_flag=True, help="Show the events of its trace, as JSON.")
@db_option
@json_option
def show_run(run_id: str, events: bool, db: str | None, as_json: bool) -> None:
    """Show the stored run RUN: its task, decision, calls and answer."""
    from agentmesh.cli.stages import children_of, stage_lines
    from agentmesh.events import fold
    from agentmesh.store.lookup import find_run

    with open_traces(db) as store:
        trace = store.events(find_run(store, run_id))
        children = children_of(store, trace)
    if events:
        print_json([event.model_dump(mode="json") for event in trace])
    elif as_json:
        print_json(fold(trace).model_dump(mode="json"))
    else:
        print_text(account(fold(trace), prepared_in(trace), stage_lines(trace, children)))


def account(run: "Run", prepared: "TaskPrepared | None" = None, stages: "Sequence[str]" = ()) -> str:
    """Tell a run from its task to its answer, in lines; ``stages`` are those of a run of a workflow."""
    lines = [trace_line(run), f"started {moment(run.started_at)}", *_part_of(run), "", "Task", run.task.text, ""]
    lines += stages or [explanation(run, prepared)]
    lines += [""] if run.calls else []
    for place, call in enumerate(run.calls):
        ended = call.status.value + (f": {call.error}" if call.error else "")
        attempt = f" (attempt {call.attempt})" if call.attempt > 1 else ""
        taken = ", taken over" if place < run.taken_over else ""
        lines.append(f"{call.agent_id}{attempt} {ended}, {usd(call.cost_usd)}, {seconds(call.latency_s)}{taken}")
        lines += [f"  {line}" for line in (call.answer.text.splitlines() if call.answer else ())]
    for conflict in run.conflicts:
        lines += ["", "Answers that stood against each other"]
        lines += [
            f"  {shorten(side.text, 80)} ({', '.join(side.agents)}; {side.weight:.3g})" for side in conflict.positions
        ]
    if run.agreed:
        lines += ["", "Agreed", *(f"  {shorten(point, 80)}" for point in run.agreed)]
    if run.dropped:
        lines += ["", "Left out", *(f"  {one.agent_id}: {shorten(one.why, 80)}" for one in run.dropped)]
    if run.waiting_for:
        return "\n".join([*lines, "", *waiting_lines(run)])
    lines += ["", "Answer", run.answer if run.answer is not None else "none"]
    return "\n".join(lines)


def _part_of(run: "Run") -> list[str]:
    lines = [] if run.parent is None else [f"part of run {run.parent}"]
    if run.forked is not None:
        changed = f", with {', '.join(run.changed)}" if run.changed else ""
        lines.append(f"forked from run {run.forked} at event {run.forked_at}{changed}")
    return lines
