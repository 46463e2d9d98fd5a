"""Compiles the workflow of a run into one LangGraph graph."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.channels import LastValue
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.runtime import get_runtime

from agentmesh.graphs.nodes import decide, dispatch
from agentmesh.graphs.refining import refine
from agentmesh.graphs.state import RunContext, RunState

if TYPE_CHECKING:
    from langgraph.channels.base import BaseChannel
    from langgraph.managed.base import ManagedValueSpec
    from langgraph.pregel._read import PregelNode

Node = Callable[[RunState, RunContext], Awaitable[RunState]]

BEGUN: Final = "begun"
NODES: Final[tuple[tuple[Node, str], ...]] = ((decide, "decided"), (dispatch, "dispatched"), (refine, "refined"))
"""Each node, and the channel that the state takes to the next one."""


@cache
def compile_workflow() -> "Pregel[RunState, RunContext, RunState, RunState]":
    """Return the graph decide -> dispatch -> refine, compiled once for the process.

    Three nodes and no more, since each costs about 0.4 ms: finer steps are functions and events. The whole state goes
    from node to node through one channel: a ``StateGraph``, which has one for each field, and a step of its own for
    the input, takes a quarter more time for the same.
    """
    nodes: dict[str, PregelNode | NodeBuilder] = {}
    channels: dict[str, BaseChannel[Any, Any, Any] | ManagedValueSpec] = {BEGUN: LastValue(object)}
    before = BEGUN
    for node, after in NODES:
        nodes[node.__name__] = NodeBuilder().subscribe_only(before).do(_Step(node)).write_to(after)
        channels[after] = LastValue(object)
        before = after
    return Pregel(
        nodes=nodes,
        channels=channels,
        input_channels=BEGUN,
        output_channels=before,
        context_schema=RunContext,
        checkpointer=False,  # in a node of somebody's graph, its checkpoints are not ours
    )


class _Step(Runnable[RunState, RunState]):
    """One node as LangGraph runs it. A plain function would be traced a second time, beside the node around it."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def invoke(self, input: RunState, config: RunnableConfig | None = None, **kwargs: Any) -> RunState:
        """Refuse: nodes wait for agents, so a run is awaited."""
        raise NotImplementedError("a run is awaited: use ainvoke")

    async def ainvoke(self, input: RunState, config: RunnableConfig | None = None, **kwargs: Any) -> RunState:  # noqa: ARG002 - the seam's signature
        """Return the state with what the node adds to it."""
        return {**input, **await self._node(input, get_runtime(RunContext).context)}
