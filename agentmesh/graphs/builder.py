"""Compiles the workflow of a run into one LangGraph graph."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Protocol

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from agentmesh.graphs.nodes import decide, dispatch
from agentmesh.graphs.refining import refine
from agentmesh.graphs.state import RunContext, RunState

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

Node = Callable[[RunState, RunContext], Awaitable[RunState]]


@cache
def compile_workflow() -> "CompiledStateGraph[RunState, RunContext, RunState, RunState]":
    """Return the graph decide -> dispatch -> refine, compiled once for the process.

    Three nodes and no more, since each costs about 0.7 ms: finer steps are functions and events.
    """
    graph = StateGraph(RunState, context_schema=RunContext)
    previous = START
    for node in (decide, dispatch, refine):
        graph.add_node(node.__name__, _bind(node))
        graph.add_edge(previous, node.__name__)
        previous = node.__name__
    graph.add_edge(previous, END)
    return graph.compile(checkpointer=False)  # in a node of somebody's graph, its checkpoints are not ours


class _Bound(Protocol):
    """What LangGraph calls: a node that takes the state, and the run's context by keyword."""

    async def __call__(self, state: RunState, *, runtime: Runtime[RunContext]) -> RunState: ...


def _bind(node: Node) -> _Bound:
    async def run(state: RunState, *, runtime: Runtime[RunContext]) -> RunState:
        return await node(state, runtime.context)

    return run
