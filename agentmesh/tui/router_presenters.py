"""What routers learned, in lines: how their worth moved, what they take tasks for, what carried a decision."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from agentmesh.decisions import Evidence, RouteDecision
from agentmesh.display import moment, shorten
from agentmesh.records import Experience
from agentmesh.tui.cells import bar, sparkline

if TYPE_CHECKING:
    from agentmesh.learning.inspection import RouterReport

POINTS: Final = 20
"""Points of a learning curve: as many as fit beside its label on 80 columns."""

BAR: Final = 20
KINDS: Final = 8


def report_lines(report: "RouterReport") -> list[str]:
    """Return which router this is, how it is built, and its newest versions."""
    stored = report.stored
    lines = [f"{stored.name}  {report.version or 'no version'}  embedder {stored.embedder or '-'}"]
    if report.arguments:
        lines.append("built with " + ", ".join(f"{name} {value!r}" for name, value in report.arguments.items()))
    lines += [f"state {state.version}  {moment(state.at)}" for state in reversed(stored.states[-4:])]
    lines += [f"{mark.kind} at {mark.sequence}  {moment(mark.at)}  {mark.note}" for mark in reversed(stored.marks[-4:])]
    lines += [] if report.error is None else [f"cannot be rebuilt: {report.error}"]
    return lines


def curve_lines(experiences: Sequence[Experience]) -> list[str]:
    """Return how quality and cost of what was learned moved from the first outcome to the last.

    Each point is the mean over as many outcomes; all outcomes of all agents count, whichever router asked them.
    """
    if not experiences:
        return ["nothing was learned yet"]
    each = max(-(-len(experiences) // POINTS), 1)
    parts = [experiences[begin : begin + each] for begin in range(0, len(experiences), each)]
    quality = [sum(one.quality for one in part) / len(part) for part in parts]
    known = [[float(one.cost_usd) for one in part if one.cost_usd is not None] for part in parts]
    cost = [sum(costs) / len(costs) for costs in known if costs]
    lines = [f"quality {sparkline(quality, POINTS)} {quality[0]:.3f} -> {quality[-1]:.3f}"]
    if cost:
        lines.append(f"USD     {sparkline(cost, POINTS)} {cost[0]:.5f} -> {cost[-1]:.5f}")
    return [*lines, f"{len(experiences)} outcomes, {each} a column, oldest first"]


def intent_lines(intents: Mapping[str, float]) -> list[str]:
    """Return what kinds of task came in, each with its share as a bar."""
    total = sum(intents.values())
    if not total:
        return ["no decision that was seen names kinds of task"]
    return [
        f"{shorten(kind, 24):<24} {bar(weight / total, BAR)} {weight / total:5.1%}"
        for kind, weight in sorted(intents.items(), key=lambda one: (-one[1], one[0]))[:KINDS]
    ]


def neighbourhood_lines(decision: RouteDecision | None, text: str) -> list[str]:
    """Return what carried the newest decision that says so, as a tree: the task, the agent, and what is known of it."""
    if decision is None or not decision.evidence or not decision.selected:
        return ["no decision that was seen says what it rests on"]
    agent_id = decision.selected[0].agent_id
    lines = [f"{shorten(text, 60)}", f"└─ {agent_id} by {decision.router}"]
    for place, one in enumerate(decision.evidence):
        edge = "└─" if place == len(decision.evidence) - 1 else "├─"
        lines.append(f"   {edge} {_evidence(one)}")
    return lines


def _evidence(one: Evidence) -> str:
    worth = "" if one.quality is None else f", worth {one.quality:.2f}"
    return f"{one.kind} {shorten(one.text or one.name, 50)} ({one.weight:+.2f}{worth})"
