"""LangGraph, loaded when it is first needed."""

from agentmesh.graphs import builder, engine
from agentmesh.graphs.workflow import graph


async def test_what_a_run_needs_of_langgraph_is_there_once_it_is_ready() -> None:
    await engine.ready()
    assert vars(engine)["compile_workflow"] is builder.compile_workflow
    assert vars(engine)["compiled"] is graph.compiled
    assert engine.most_steps is graph.most_steps
    await engine.ready()  # and being ready is no work
