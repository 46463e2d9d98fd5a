"""Routers in lines: which one it is, what kinds of task came in, and what carried a decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agentmesh.decisions import Evidence, RouteDecision
from agentmesh.display import escape_line, moment, shorten
from agentmesh.tui.cells import bar
from agentmesh.tui.charts import signed_bar
from agentmesh.types import AgentId

if TYPE_CHECKING:
    from agentmesh.learning.inspection import RouterReport

BAR: Final = 20
KINDS: Final = 8
RIVALS: Final = 3
WEIGHT: Final = 8
"""Columns of the bar of the heaviest neighbour."""

NEIGHBOURS: Final = {"task": "past tasks like it", "skill": "skills it asks for", "entity": "entities it names"}


def report_lines(report: "RouterReport") -> list[str]:
    """Return which router this is, how it is built, and its newest versions."""
    stored = report.stored
    lines = [f"{stored.name}  {report.version or 'no version'}  embedder {stored.embedder or '-'}"]
    if report.arguments:
        lines.append("built with " + ", ".join(f"{name} {value!r}" for name, value in report.arguments.items()))
    lines += [
        f"state {state.version}  {moment(state.at) if state.at else '-'}" for state in reversed(stored.states[-4:])
    ]
    lines += [f"{mark.kind} at {mark.sequence}  {moment(mark.at)}  {mark.note}" for mark in reversed(stored.marks[-4:])]
    lines += [] if report.error is None else [f"cannot be rebuilt: {report.error}"]
    return list(map(escape_line, lines))


def intent_lines(intents: Mapping[str, float]) -> list[str]:
    """Return what kinds of task came in, each with its share as a bar.

    >>> intent_lines({"sums": 3.0, "dates": 1.0})[1]
    'dates                    █████                25.0%'
    """
    total = sum(intents.values())
    if not total:
        return ["no decision that was seen names kinds of task"]
    return [
        f"{shorten(kind, 24):<24} {bar(weight / total, BAR)} {weight / total:5.1%}"
        for kind, weight in sorted(intents.items(), key=lambda one: (-one[1], one[0]))[:KINDS]
    ]


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of a tree, and what hangs on it."""

    text: str
    branches: Sequence["Branch"] = ()


def tree_lines(root: Branch) -> list[str]:
    """Return a tree as lines.

    >>> tree_lines(Branch("a", [Branch("b", [Branch("c")]), Branch("d")]))
    ['a', '├─ b', '│  └─ c', '└─ d']
    """
    lines = [root.text]
    for branch in root.branches:
        is_last = branch is root.branches[-1]
        head, *rest = tree_lines(branch)
        lines.append(("└─ " if is_last else "├─ ") + head)
        lines += [("   " if is_last else "│  ") + line for line in rest]
    return lines


def neighbourhood_lines(decision: RouteDecision | None, text: str) -> list[str]:
    """Return what carried a decision as a tree: the task, the agent, and the tasks and skills known of it by kind.

    A bar is how much the logit of the agent's expected quality would fall without this.
    """
    if decision is None or not decision.evidence or not decision.selected:
        return ["no decision that was seen says what it rests on"]
    chosen = decision.selected[0].agent_id
    kinds = [f"{shorten(kind, 24)} {weight:.0%}" for kind, weight in decision.intent.items()]
    others = [one for one in decision.candidates if one.agent_id != chosen and one.score is not None]
    branches = [Branch(f"taken for {', '.join(kinds)}")] if kinds else []
    branches.append(Branch(_agent(decision, chosen), _neighbours(decision.evidence)))
    if others:
        branches.append(Branch("instead of", [Branch(_agent(decision, one.agent_id)) for one in others[:RIVALS]]))
    return [*tree_lines(Branch(shorten(text, 60), branches)), "+ carries the choice, - speaks against it, in logits"]


def _agent(decision: RouteDecision, agent_id: AgentId) -> str:
    known = next((one for one in decision.candidates if one.agent_id == agent_id), None)
    expected = None if known is None else known.expected_quality
    return shorten(agent_id, 40) + ("" if expected is None else f", expected quality {expected:.2f}")


def _neighbours(evidence: Sequence[Evidence]) -> list[Branch]:
    """Return a branch for each kind, with what is of that kind, the heaviest first."""
    most = max(abs(one.weight) for one in evidence)
    found = [(what, [one for one in evidence if one.kind == kind]) for kind, what in NEIGHBOURS.items()]
    return [Branch(what, [Branch(_neighbour(one, most)) for one in alike]) for what, alike in found if alike]


def _neighbour(one: Evidence, most: float) -> str:
    worth = "" if one.quality is None else f", worth {one.quality:.2f}"
    return f"{signed_bar(one.weight, most, WEIGHT)} {one.weight:+.2f}{worth}  {shorten(one.text or one.name, 40)}"
