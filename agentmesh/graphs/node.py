"""A mesh inside other things: as a node of somebody's LangGraph graph, and as an agent of another mesh."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

from agentmesh.agents.base import Agent
from agentmesh.agents.graph import last_text, text_of
from agentmesh.errors import AgentError, ConfigError
from agentmesh.graphs.workflow.spec import Workflow
from agentmesh.records import Answer, Limits, Run, RunStatus, Task, Turn
from agentmesh.types import AgentId, RunId

Node: TypeAlias = Callable[[Any], Awaitable[dict[str, Any]]]
"""A node of a LangGraph graph: it takes the state and returns an update of it."""

_ROLES: Final[Mapping[str, Literal["user", "assistant", "system"]]] = {
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "assistant": "assistant",
    "system": "system",
}


class RunsTasks(Protocol):
    """What runs tasks: an open mesh."""

    async def run(self, task: str | Task, *, limits: Limits | None = None, run_id: RunId | None = None) -> Run:
        """Run one task."""
        ...

    async def run_workflow(
        self, workflow: Workflow, task: str | Task, *, limits: Limits | None = None, run_id: RunId | None = None
    ) -> Run:
        """Take a task through a workflow."""
        ...


def as_node(
    mesh: RunsTasks,
    *,
    read: str | Callable[[Any], str | Task] = "messages",
    write: str | Callable[[Run], Mapping[str, Any]] = "messages",
    error: str = "",
    workflow: Workflow | None = None,
    limits: Limits | None = None,
) -> Node:
    """Return a node of a LangGraph graph that has its task done by a mesh, or by a workflow of it.

    What it writes is plain data, so any checkpointer keeps it.

    Args:
        mesh: An open mesh; it stays open as long as the graph runs.
        read: Makes the task of the graph's state. By default the last of its ``messages``, with those before it as the
            task's turns; the name of a field takes the text or the ``Task`` that stands there.
        write: Makes an update of the state of the finished run. By default the answer is a new message of the
            assistant's in ``messages``; the name of a field puts the text there.
        error: The field for why there is no answer, where there is none (the run failed, abstained, is over its
            budget or waits for a person); it is ``None`` otherwise. Without a field the node raises then.
        workflow: What the task goes through.
        limits: What each run may use.

    Raises:
        AgentError: (the node) the run has no answer, and there is no field to say so.
        ConfigError: (the node) the state has no task where one is looked for.
    """

    async def node(state: Any) -> dict[str, Any]:
        task = read(state) if callable(read) else _task_in(state, read)
        run = await _run(mesh, task, workflow, limits)
        if run.answer is None:
            if not error:
                raise AgentError(why_unanswered(run))
            return {error: why_unanswered(run)}
        update = dict(write(run)) if callable(write) else _update(write, run.answer)
        return {**update, error: None} if error else update

    return node


class MeshAgent(Agent):
    """A mesh, or a workflow of it, as an agent of another mesh: what it spends is what is left of the run around it.

    Args:
        mesh: An open mesh; it stays open as long as the agent is called.
        id: The agent's id.
        description: What the mesh is good at.
        workflow: What each task goes through.
        limits: What each run may use.
        skills: What it can do.
    """

    def __init__(
        self,
        mesh: RunsTasks,
        *,
        id: AgentId,
        description: str,
        workflow: Workflow | None = None,
        limits: Limits | None = None,
        skills: Sequence[str] = (),
    ) -> None:
        self.id, self.description, self.skills = id, description, skills
        self.price_per_call_usd = 0  # the runs inside the call are counted by themselves
        self._mesh, self._workflow, self._limits = mesh, workflow, limits
        self.card()

    async def run(self, task: Task) -> Answer:
        """Have the task done.

        Raises:
            AgentError: the run has no answer.
        """
        run = await _run(self._mesh, task, self._workflow, self._limits)
        if run.answer is None:
            raise AgentError(why_unanswered(run))
        return Answer(text=run.answer)


def why_unanswered(run: Run) -> str:
    """Say why a run has no answer."""
    if run.status is RunStatus.WAITING:
        agents = ", ".join(repr(request.agent_id) for request in run.waiting_for)
        return f"run {run.id!r} waits for the approval of a call of {agents}"
    return f"run {run.id!r} {run.status.value.replace('_', ' ')}: {run.error or 'no agent gave an answer'}"


async def _run(mesh: RunsTasks, task: str | Task, workflow: Workflow | None, limits: Limits | None) -> Run:
    if workflow is None:
        return await mesh.run(task, limits=limits)
    return await mesh.run_workflow(workflow, task, limits=limits)


def _task_in(state: Any, field: str) -> str | Task:
    found = state.get(field) if isinstance(state, Mapping) else getattr(state, field, None)
    if field == "messages" and isinstance(found, Sequence) and not isinstance(found, str):
        text = last_text(found)
        if text:
            return Task(text=text, turns=tuple(turn for one in found[:-1] if (turn := _turn(one)) is not None))
    elif isinstance(found, str | Task):
        return found
    raise ConfigError(f"the graph's state has no task in {field!r} but {found!r:.80}; read= says where it is")


def _turn(message: object) -> Turn | None:
    """Return a message as a turn; one of a tool, or without a text, is none."""
    if isinstance(message, tuple):
        said: object = message[0] if message else None
    elif isinstance(message, Mapping):
        said = message.get("role", message.get("type"))
    else:
        said = getattr(message, "type", None)
    text, role = text_of(message), _ROLES.get(str(said))
    return None if role is None or not text else Turn(role=role, text=text)


def _update(field: str, answer: str) -> dict[str, Any]:
    return {field: [{"role": "assistant", "content": answer}] if field == "messages" else answer}
