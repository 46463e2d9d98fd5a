"""What may be said to the runs of an open mesh from outside: stop, go ahead, do not, go on."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from agentmesh.graphs.changes import Changes
from agentmesh.graphs.replies import Said
from agentmesh.graphs.workflow.spec import Workflow
from agentmesh.learning.opening import brought_up
from agentmesh.opening import OpenMesh
from agentmesh.records import Limits, Run, RunSummary, Task
from agentmesh.routing.base import Router
from agentmesh.routing.named import router_named
from agentmesh.types import AgentId, RunId


class RunControl(ABC):
    """The part of a mesh that speaks to runs it has begun, or that are stored."""

    @abstractmethod
    def _parts(self) -> OpenMesh:
        """Return the live parts.

        Raises:
            ConfigError: the mesh is not open.
        """

    def cancel(self, run_id: RunId) -> bool:
        """Cancel a run that is under way here, and all that it started; return whether there is such a run."""
        return self._parts().executor.cancel(run_id)

    async def approve(
        self, run_id: RunId, agent: AgentId | None = None, *, by: str = "", text: str | None = None, note: str = ""
    ) -> Run:
        """Approve what a run waits for, or only the calls of ``agent``, and go on when it waits for nobody else.

        A run of a workflow waits for what its stages wait for. With ``text`` the agent is asked this instead. A call
        that has expired meanwhile stays rejected, by the clock.

        Raises:
            RunNotFoundError: no such run is stored.
            ConfigError: the run does not wait for this, the edit cannot be used, or the mesh is not open.
        """
        return await self._parts().resumer.answer(run_id, Said.approving(agent, by=by, text=text, note=note))

    async def reject(self, run_id: RunId, agent: AgentId | None = None, *, by: str = "", note: str = "") -> Run:
        """Reject what a run waits for, or only the calls of ``agent``, and go on: others may stand in for them.

        Raises:
            RunNotFoundError, ConfigError: as for :meth:`approve`.
        """
        return await self._parts().resumer.answer(run_id, Said("reject", agent, by, None, note))

    async def resume(self, run_id: RunId, *, task: str | Task | None = None, workflow: Workflow | None = None) -> Run:
        """Go on with a run whose process was lost or that was answered elsewhere; others are returned as they are.

        No agent is called again whose answer is recorded, and no stage of a workflow is done again that has ended. A
        stage goes on with its workflow. A run that an agent started in a call which was lost is ended: nobody would
        hear of it.

        Args:
            run_id: The run.
            task: Its task as it was given, so that secrets that were hidden in it can be restored.
            workflow: What the run is of; needed only for one with callables or refiners, which no store keeps.

        Raises:
            RunNotFoundError: no such run is stored.
            ConfigError: it is another task or workflow, the mesh cannot go on with the run, or it is not open.
            StoreError: another process is at work on it; the message names it.
        """
        return await self._parts().resumer.resume(run_id, task, workflow)

    async def fork(
        self,
        run_id: RunId,
        *,
        at: int,
        text: str | None = None,
        agents: Sequence[AgentId] = (),
        router: str | Router | None = None,
        limits: Limits | None = None,
        answers: Mapping[AgentId, str] | None = None,
        new_id: RunId | None = None,
    ) -> Run:
        """Run on from an event of a stored run as a new run: what came before is taken over, the rest is done live.

        The stored run stays as it is. What was taken over is not done, paid for, or learned from again; limits hold for
        what the fork itself uses. Where nothing was decided yet, this mesh decides.

        Args:
            run_id: The run, whether it has ended or not.
            at: The number of the first event that is not taken over; 0 takes over the task alone.
            text: Another text of the task; only at 0.
            agents: Who acts, in place of a decision; only before the decision.
            router: Who decides, by its name or a fresh one; it first learns what is stored. Only before the decision.
            limits: Fields that are set here stand above the run's.
            answers: What agents are taken to have said in the last wave before ``at``.
            new_id: A name of your own for the new run.

        Raises:
            RunNotFoundError: no such run is stored.
            ConfigError: it cannot be forked there, what is changed does not fit, or the mesh is not open.
            RoutingError, StoreError: as for a run.
        """
        parts = self._parts()
        fresh = router_named(router) if isinstance(router, str) else router
        serving = None if fresh is None else await brought_up(parts.store, fresh, parts.services.embedder)
        changes = Changes(text, tuple(agents), serving, limits, dict(answers or {}))
        return await parts.forker.fork(run_id, at, changes, new_id=new_id)

    async def orphans(self) -> list[RunSummary]:
        """Return the runs that are under way by their logs and whose process is gone, oldest first; resume them.

        Where it is not certain that a process is gone, such as one on another machine, it is watched for some seconds.

        Raises:
            ConfigError: the mesh is not open.
            StoreError: the store cannot be read or written.
        """
        return await self._parts().at_work.orphans()
