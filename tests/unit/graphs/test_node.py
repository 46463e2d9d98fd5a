"""A mesh in somebody's LangGraph graph, somebody's graph in a mesh, and a mesh in a mesh."""

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph

from agentmesh import Agent, Answer, GraphAgent, Limits, Mesh, MeshAgent, RunStatus, Stage, Task, Workflow, as_node
from agentmesh.approvals import ApprovalRequest
from agentmesh.errors import AgentError, AgentOutputError, ConfigError
from agentmesh.graphs.node import why_unanswered
from agentmesh.records import Run
from agentmesh.testing.agents import AgentContract, CannedAgent, EchoAgent, FailingAgent


class Asked(TypedDict, total=False):
    """The state of a graph without messages."""

    question: str
    answer: str
    why: str | None
    seen: Annotated[list[str], operator.add]


def graph_of(node: Any, state: type = Asked, **options: Any) -> Any:
    graph = StateGraph(state)
    graph.add_node("work", node)
    graph.add_edge(START, "work")
    graph.add_edge("work", END)
    return graph.compile(**options)


def mesh_of(*agents: Agent) -> Mesh:
    return Mesh(agents, router="random", embedder="hashing", explore=0)


async def test_a_mesh_is_a_node_that_answers_the_last_message_with_those_before_as_turns() -> None:
    async with mesh_of(EchoAgent()) as mesh:
        saver = InMemorySaver()
        graph = graph_of(as_node(mesh), MessagesState, checkpointer=saver)
        config = {"configurable": {"thread_id": "1"}}
        await graph.ainvoke({"messages": [HumanMessage("one")]}, config)
        state = await graph.ainvoke({"messages": [("user", "two")]}, config)
        task = mesh.store.run(mesh.store.runs()[0].id).task
    assert set(saver.storage["1"]) == {""}  # what happens inside the node is not the user's to keep
    assert [message.content for message in state["messages"]] == ["one", "one", "two", "two"]
    assert isinstance(state["messages"][-1], AIMessage)
    assert (task.text, [(turn.role, turn.text) for turn in task.turns]) == (
        "two",
        [("user", "one"), ("assistant", "one")],
    )


async def test_a_node_reads_and_writes_fields_and_says_why_there_is_no_answer() -> None:
    async with mesh_of(CannedAgent(["yes", ValueError("tired")])) as mesh:
        graph = graph_of(as_node(mesh, read="question", write="answer", error="why"))
        assert await graph.ainvoke({"question": "q"}) == {"question": "q", "answer": "yes", "why": None, "seen": []}
        state = await graph.ainvoke({"question": "q"})
    assert "answer" not in state
    assert state["why"].endswith("failed: canned: ValueError: tired")


async def test_a_node_without_a_field_for_it_raises_what_went_wrong() -> None:
    async with mesh_of(FailingAgent()) as mesh:
        graph = graph_of(as_node(mesh, read="question", write="answer"))
        with pytest.raises(AgentError, match="fails by design"):
            await graph.ainvoke({"question": "q"})
        with pytest.raises(ConfigError, match="no task in 'messages'"):
            await as_node(mesh)({"question": "q"})
        with pytest.raises(ConfigError, match="no task in 'messages'"):
            await as_node(mesh)({"messages": []})


async def test_a_node_takes_a_workflow_and_functions_of_the_users() -> None:
    workflow = Workflow(stages=[Stage(name="one"), Stage(name="two", prompt="{one}!", after=("one",))], output="two")
    async with mesh_of(EchoAgent()) as mesh:
        node = as_node(
            mesh, read=lambda state: state["question"], write=lambda run: {"seen": [run.status]}, workflow=workflow
        )
        assert (await graph_of(node).ainvoke({"question": "q"}))["seen"] == [RunStatus.COMPLETED]
        assert [run.answer for run in map(mesh.store.run, [run.id for run in mesh.store.runs()])][-1] == "q!"


def shouting(state: MessagesState) -> dict[str, list[BaseMessage]]:
    return {"messages": [AIMessage(str(state["messages"][-1].content).upper())]}


class TestGraphAgent(AgentContract):
    """A compiled graph keeps to what every agent keeps to."""

    def make_agent(self) -> Agent:
        return GraphAgent(graph_of(shouting, MessagesState), id="shouter", description="Shouts.")


READS: list[tuple[dict[str, Any], str]] = [
    ({}, "Q"),
    ({"read": lambda state: Answer(text=f"{len(state['messages'])} messages")}, "2 messages"),
    ({"write": lambda task: {"messages": [{"role": "user", "content": task.text * 2}]}}, "QQ"),
]


@pytest.mark.parametrize(("options", "answer"), READS, ids=range(len(READS)))
async def test_a_graph_answers_as_an_agent(options: dict[str, Any], answer: str) -> None:
    agent = GraphAgent(graph_of(shouting, MessagesState), id="g", description="Shouts.", skills=("loud",), **options)
    async with mesh_of(agent) as mesh:
        assert (await mesh.run(Task(text="q", required_skills=frozenset({"loud"})))).answer == answer


async def test_a_graph_reads_and_writes_fields_and_keeps_threads() -> None:
    def node(state: Asked) -> dict[str, Any]:
        return {"answer": f"{len(state.get('seen', []))} before", "seen": [state["question"]]}

    graph = graph_of(node, checkpointer=InMemorySaver())
    agent = GraphAgent(
        graph,
        id="g",
        description="Counts.",
        write="question",
        read="answer",
        config=lambda task: {"configurable": {"thread_id": "1"}},
    )
    assert [await agent.run(Task(text="q")) for _ in range(2)] == ["0 before", "1 before"]
    with pytest.raises(
        AgentOutputError, match=r"without a text in 'seen'; its state has \['answer', 'question', 'seen'\]"
    ):
        await GraphAgent(graph_of(node), id="g", description="d", write="question", read="seen").run(Task(text="q"))


async def test_a_mesh_is_an_agent_of_another_and_spends_what_is_left_of_the_run_around_it() -> None:
    inner = mesh_of(CannedAgent(["found"], price_per_call_usd="0.01"))
    workflow = Workflow(stages=[Stage(name="one"), Stage(name="two", after=("one",))], output="two")
    async with inner:
        outer = mesh_of(MeshAgent(inner, id="inner", description="Finds.", workflow=workflow))
        async with outer:
            run = await outer.run("q", limits=Limits(cost_usd="0.02"))
            short = await outer.run("q", limits=Limits(cost_usd="0.015"))
        assert inner.store.runs()[-1].id  # its own traces are kept
    assert (run.answer, run.cost_usd) == ("found", Decimal("0.02"))
    assert (short.status, short.cost_usd) == (RunStatus.FAILED, Decimal("0.01"))
    assert "over budget" in str(short.error)


@pytest.mark.parametrize(
    ("status", "waiting", "said"),
    [
        (RunStatus.WAITING, (ApprovalRequest(agent_id="ann", text="q"),), "waits for the approval of a call of 'ann'"),
        (RunStatus.ABSTAINED, (), "abstained: no agent gave an answer"),
    ],
)
def test_why_a_run_has_no_answer_is_said(status: RunStatus, waiting: tuple[ApprovalRequest, ...], said: str) -> None:
    run = Run(id="r", task=Task(text="q"), status=status, waiting_for=waiting, started_at=0)
    assert why_unanswered(run) == f"run 'r' {said}"


MESSAGES: list[tuple[Callable[[], Any], str, int]] = [
    (lambda: [{"role": "tool", "content": "x"}, {"type": "human", "content": "q"}], "q", 0),
    (lambda: ["hello", ("ai", "hi"), "q"], "q", 1),
    (lambda: [{"role": "system", "content": [{"text": "be"}, "brief"]}, HumanMessage("q")], "q", 1),
]


@pytest.mark.parametrize(("messages", "text", "turns"), MESSAGES, ids=range(len(MESSAGES)))
async def test_messages_are_read_in_all_the_forms_they_come_in(
    messages: Callable[[], Any], text: str, turns: int
) -> None:
    async with mesh_of(EchoAgent()) as mesh:
        update = await as_node(mesh)({"messages": messages()})
        task = mesh.store.run(mesh.store.runs()[0].id).task
    assert update == {"messages": [{"role": "assistant", "content": text}]}
    assert len(task.turns) == turns
