"""Compiles the stages of a workflow into one LangGraph graph."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from agentmesh.graphs.workflow.spec import Workflow
from agentmesh.graphs.workflow.walk import Walk, WalkState

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    Compiled = CompiledStateGraph[WalkState, Walk, WalkState, WalkState]


@dataclass(frozen=True, slots=True)
class Knot:
    """A stage as the graph knows it. ``back_to`` is where its loop begins again, "" where it has none."""

    name: str
    after: tuple[str, ...]
    is_mapped: bool
    back_to: str

    @property
    def entry(self) -> str:
        """Return the node that begins it."""
        return f"{self.name}.items" if self.is_mapped else self.name

    @property
    def exit(self) -> str:
        """Return the node after which it has ended."""
        return f"{self.name}.end" if self.back_to else self.name


def compiled(workflow: Workflow) -> "Compiled":
    """Return the graph of a workflow, compiled once for each shape.

    A stage is a node. One that is mapped has three: the list, a part that is sent each item, and the join. One that
    ends a loop has a node behind it, and goes there or back to where the loop begins. Stages between which there is no
    order run in one step of the graph; the next step begins when all of them have ended.
    """
    order = workflow.order
    return _compiled(
        tuple(
            Knot(stage.name, order.nearest(stage.name), stage.over is not None, stage.head if stage.until else "")
            for stage in workflow.stages
        )
    )


def most_steps(workflow: Workflow) -> int:
    """Return how many steps the graph of a workflow may take."""
    rounds = {name: workflow.by_name[end].most or 1 for name, end in workflow.loops.items()}
    return 2 + 3 * sum(rounds.get(stage.name, 1) for stage in workflow.stages)


@lru_cache(maxsize=64)
def _compiled(knots: tuple[Knot, ...]) -> "Compiled":
    graph: StateGraph[WalkState, Walk, WalkState, WalkState] = StateGraph(WalkState, context_schema=Walk)
    exits = {knot.name: knot.exit for knot in knots}
    waited_for = {name for knot in knots for name in knot.after}
    for knot in knots:
        _add_nodes(graph, knot)
        before = [exits[name] for name in knot.after]
        graph.add_edge(before if len(before) > 1 else before[0] if before else START, knot.entry)
        if knot.name not in waited_for:
            graph.add_edge(knot.exit, END)
    return graph.compile(checkpointer=False)  # in a node of somebody's graph, its checkpoints are not ours


def _add_nodes(graph: "StateGraph[WalkState, Walk, WalkState, WalkState]", knot: Knot) -> None:
    if knot.is_mapped:
        part = f"{knot.name}.part"
        graph.add_node(knot.entry, _bound(Walk.listing, knot.name))
        graph.add_node(part, _bound(Walk.part, knot.name))
        graph.add_node(knot.name, _bound(Walk.join, knot.name))
        graph.add_conditional_edges(knot.entry, _parts_of(knot.name, part), [part, knot.name])
        graph.add_edge(part, knot.name)
        return
    graph.add_node(knot.name, _bound(Walk.stage, knot.name))
    if knot.back_to:
        graph.add_node(knot.exit, _bound(_rest, knot.name))
        graph.add_conditional_edges(knot.name, _turn_of(knot.name, knot.back_to, knot.exit), [knot.back_to, knot.exit])


class _Bound(Protocol):
    """What LangGraph calls: a node that takes the state, and the walk by keyword."""

    async def __call__(self, state: Any, *, runtime: Runtime[Walk]) -> WalkState: ...


def _bound(work: Callable[[Walk, str, Any], Awaitable[WalkState]], name: str) -> _Bound:
    async def run(state: Any, *, runtime: Runtime[Walk]) -> WalkState:
        return await work(runtime.context, name, state)

    return run


async def _rest(walk: Walk, name: str, state: WalkState) -> WalkState:  # noqa: ARG001 - a node's signature
    """Do nothing: a loop has ended."""
    return {}


def _parts_of(name: str, part: str) -> Callable[[WalkState], list[Send] | str]:
    def send(state: WalkState) -> list[Send] | str:
        items = state["items"].get(name, ())
        sent = [Send(part, {"past": state["past"], "part": place, "item": item}) for place, item in enumerate(items)]
        return sent or name

    return send


def _turn_of(name: str, head: str, end: str) -> Callable[[WalkState], str]:
    def turn(state: WalkState) -> str:
        last = next(one for one in reversed(state["past"]) if one.stage == name)
        return head if last.again else end

    return turn
