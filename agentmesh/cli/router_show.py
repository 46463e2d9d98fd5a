"""``agentmesh router show [NAME]``: what a router has learned, as far as it can be read."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from agentmesh.cli.app import FAILED
from agentmesh.cli.output import note, print_drawn, print_json, print_table, print_text
from agentmesh.cli.router_cascade import cascade_lines
from agentmesh.cli.router_target import called, router_options
from agentmesh.cli.router_training import told
from agentmesh.cli.target import open_traces
from agentmesh.display import moment, shorten
from agentmesh.tui.heat import HeatMap, amount

if TYPE_CHECKING:
    from rich.console import RenderableType

    from agentmesh.learning.changes import TrailChange, TrailChanges
    from agentmesh.learning.inspection import RouterReport
    from agentmesh.learning.versions import StoredRouter
    from agentmesh.types import JsonValue

NEWEST = 8
"""States and marks that are listed; --json has all."""


@click.command()
@click.argument("name", required=False)
@click.option("--version", metavar="VERSION", help="As it was at '<hash>@<number>'; by default as it is now.")
@click.option("--since", metavar="VERSION", help="Say what changed since this version.")
@router_options
def show(name: str | None, version: str | None, since: str | None, as_json: bool, **which: str | None) -> int:
    """Show what the router NAME has learned; without NAME, list the routers in the database."""
    from agentmesh.learning.inspection import inspect_router
    from agentmesh.learning.versions import find_routers, routers_in

    with open_traces(which.pop("db")) as store:
        if name is None:
            list_routers(routers_in(store), as_json=as_json)
            return 0
        found = find_routers(store, name, **which)
        report = inspect_router(store, found[0], version=version, since=since)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        print_drawn(drawn(report))
    for other in found[1:]:
        note(f"there is also {called(other)}; --parameters or --embedder shows it")
    if report.error is not None:
        note(f"Error: {report.error}")
    return 0 if report.error is None else FAILED


def list_routers(routers: "list[StoredRouter]", *, as_json: bool) -> None:
    """Print the routers of a database."""
    if as_json:
        print_json([{**router.model_dump(mode="json"), "sequence": router.sequence} for router in routers])
        return
    if not routers:
        print_text("No router is stored here yet.")
        return
    rows = [
        (one.name, one.root, one.embedder or "-", f"{one.parameters}@{one.sequence}", when(one.at), str(len(one.marks)))
        for one in routers
    ]
    print_table(("router", "parameters", "embedder", "newest stored", "at", "marks"), rows)


def when(at: float | None) -> str:
    """Return a point in time, ``-`` where it is not known."""
    return moment(at) if at else "-"


def drawn(report: "RouterReport") -> "RenderableType":
    """Draw all that is known of a router."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(head(report))]
    if report.trails is not None:
        parts += [Text(""), HeatMap(report.trails.as_map())]
    for title, lines in sections(report):
        parts.append(Text(f"\n{title}", style="bold"))
        parts += [Text(f"  {line}", no_wrap=True, overflow="ellipsis") for line in lines]
    return Group(*parts)


def head(report: "RouterReport") -> str:
    """Tell in a few lines which router this is, and at which version."""
    lines = [called(report.stored)]
    if report.error is None:
        lines.append(f"version {report.version}")
    if report.arguments:
        lines.append("built with " + ", ".join(f"{name} {spelled(value)}" for name, value in report.arguments.items()))
    return "\n".join(lines)


def spelled(value: "JsonValue") -> str:
    """Return an argument as text; a router inside a router by its name and arguments.

    >>> spelled([{"router": "kernel", "arguments": {"curiosity": 0.1}}])
    '[kernel (curiosity 0.1)]'
    """
    if isinstance(value, list):
        return f"[{', '.join(spelled(one) for one in value)}]"
    if not isinstance(value, dict):
        return repr(value)
    if value.keys() == {"router", "arguments"}:
        return f"{value['router']} {spelled(value['arguments'])}"
    return f"({', '.join(f'{name} {spelled(one)}' for name, one in value.items())})"


def sections(report: "RouterReport") -> Iterator[tuple[str, list[str]]]:
    """Yield what else is known, as titles with lines, those that have any."""
    yield from (section for section in _all_sections(report) if section[1])


def _all_sections(report: "RouterReport") -> Iterator[tuple[str, list[str]]]:
    yield "Cascade", [] if report.cascade is None else list(cascade_lines(report.cascade))
    yield "Training", told(report.training)
    strongest = [
        f"{one.trail:.3f}  {_edge(one.type, one.edge.previous, one.edge.agent_id)}  (evidence {amount(one.evidence)})"
        for one in report.strongest
    ]
    yield "Strongest trails", strongest
    if report.changes is not None:
        yield f"Changed since {report.since}", changed(report.changes)
    states = [f"{state.version}  {when(state.at)}" for state in reversed(report.stored.states)]
    yield "Stored states, newest first", cut(states)
    marks = [
        f"{mark.parameters}@{mark.sequence}  {when(mark.at)}  {mark.kind}"
        + (f" to {mark.target}" if mark.target is not None else "")
        + (f"  {mark.note}" if mark.note else "")
        for mark in reversed(report.stored.marks)
    ]
    yield "Marks, newest first", cut(marks)
    yield "States that could not be read and were not needed", list(report.passed_over)
    faults = [
        f"{when(fault.at)}  {fault.source or '-'}  {fault.run_id or '-'}  {shorten(fault.message, 200)}"
        for fault in report.faults
    ]
    yield "Newest learning faults, of all routers", faults


def changed(found: "TrailChanges") -> list[str]:
    """Tell what came, what went, and which trails moved most."""
    came_and_went = {
        "new types": found.new_types,
        "retired types": found.retired_types,
        "new agents": found.new_agents,
        "gone agents": found.gone_agents,
    }
    lines = [f"{what}: {', '.join(names)}" for what, names in came_and_went.items() if names]
    return lines + [_moved(change) for change in found.trails] or ["nothing"]


def _moved(change: "TrailChange") -> str:
    before, after = ("-" if trail is None else f"{trail:.3f}" for trail in (change.trail_before, change.trail_after))
    outcomes = f"{amount(change.evidence_before)} -> {amount(change.evidence_after)} outcomes"
    return f"{before} -> {after}  {_edge(change.type, change.previous, change.agent_id)}  ({outcomes})"


def _edge(kind: str, previous: str, agent_id: str) -> str:
    return f"{kind}: {previous} > {agent_id}" if previous else f"{kind}: {agent_id}"


def cut(lines: list[str]) -> list[str]:
    """Return the first lines, and how many more there are.

    >>> cut([str(number) for number in range(10)])[-1]
    'and 2 more'
    """
    return lines if len(lines) <= NEWEST else [*lines[:NEWEST], f"and {len(lines) - NEWEST} more"]
