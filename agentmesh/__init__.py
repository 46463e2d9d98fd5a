"""Route tasks to agents by learning from outcomes: quality, cost, and a decision you can read and replay.

Public names are imported when they are first used, so that ``import agentmesh`` loads nothing heavy.
"""

from typing import TYPE_CHECKING

from agentmesh.lazy import lazily

if TYPE_CHECKING:
    from agentmesh.agents.base import Agent as Agent
    from agentmesh.agents.function import agent as agent
    from agentmesh.agents.graph import GraphAgent as GraphAgent
    from agentmesh.agents.merging import PromptedRefiner as PromptedRefiner
    from agentmesh.agents.prompted import PromptedAgent as PromptedAgent
    from agentmesh.agents.recorded import RecordedAgent as RecordedAgent
    from agentmesh.agents.refiner import Refiner as Refiner
    from agentmesh.agents.refiner import VoteRefiner as VoteRefiner
    from agentmesh.approvals import Approval as Approval
    from agentmesh.capture import Capture as Capture
    from agentmesh.errors import AgentMeshError as AgentMeshError
    from agentmesh.graphs.health import Health as Health
    from agentmesh.graphs.node import MeshAgent as MeshAgent
    from agentmesh.graphs.node import as_node as as_node
    from agentmesh.graphs.team import Team as Team
    from agentmesh.graphs.workflow.conditions import Condition as Condition
    from agentmesh.graphs.workflow.conditions import Over as Over
    from agentmesh.graphs.workflow.spec import Stage as Stage
    from agentmesh.graphs.workflow.spec import Workflow as Workflow
    from agentmesh.judging.redaction import Secrets as Secrets
    from agentmesh.learning.settings import Learning as Learning
    from agentmesh.mesh import Mesh as Mesh
    from agentmesh.playback.diff import diff as diff
    from agentmesh.playback.player import Replay as Replay
    from agentmesh.playback.player import replay as replay
    from agentmesh.playback.rerun import rerun as rerun
    from agentmesh.playback.whatif import whatif as whatif
    from agentmesh.preferences import Preference as Preference
    from agentmesh.records import AgentCard as AgentCard
    from agentmesh.records import Answer as Answer
    from agentmesh.records import Feedback as Feedback
    from agentmesh.records import Limits as Limits
    from agentmesh.records import Objective as Objective
    from agentmesh.records import RouteDecision as RouteDecision
    from agentmesh.records import Run as Run
    from agentmesh.records import RunStatus as RunStatus
    from agentmesh.records import Task as Task
    from agentmesh.records import Usage as Usage
    from agentmesh.routing.base import Router as Router
    from agentmesh.routing.base import ScoringRouter as ScoringRouter
    from agentmesh.store.opening import open_store as open_store
else:
    _HOMES = {
        "Agent": "agents.base",
        "AgentCard": "records",
        "AgentMeshError": "errors",
        "Answer": "records",
        "Approval": "approvals",
        "Capture": "capture",
        "Condition": "graphs.workflow.conditions",
        "Feedback": "records",
        "GraphAgent": "agents.graph",
        "Health": "graphs.health",
        "Learning": "learning.settings",
        "Limits": "records",
        "Mesh": "mesh",
        "MeshAgent": "graphs.node",
        "Objective": "records",
        "Preference": "preferences",
        "Over": "graphs.workflow.conditions",
        "PromptedAgent": "agents.prompted",
        "PromptedRefiner": "agents.merging",
        "RecordedAgent": "agents.recorded",
        "Refiner": "agents.refiner",
        "Replay": "playback.player",
        "RouteDecision": "records",
        "Router": "routing.base",
        "Run": "records",
        "RunStatus": "records",
        "ScoringRouter": "routing.base",
        "Secrets": "judging.redaction",
        "Stage": "graphs.workflow.spec",
        "Task": "records",
        "Team": "graphs.team",
        "Usage": "records",
        "VoteRefiner": "agents.refiner",
        "Workflow": "graphs.workflow.spec",
        "agent": "agents.function",
        "as_node": "graphs.node",
        "diff": "playback.diff",
        "open_store": "store.opening",
        "replay": "playback.player",
        "rerun": "playback.rerun",
        "whatif": "playback.whatif",
    }

    __getattr__ = lazily(__name__, _HOMES)

    def __dir__():
        """Return the public names."""
        return sorted(__all__)


__all__ = [
    "Agent",
    "AgentCard",
    "AgentMeshError",
    "Answer",
    "Approval",
    "Capture",
    "Condition",
    "Feedback",
    "GraphAgent",
    "Health",
    "Learning",
    "Limits",
    "Mesh",
    "MeshAgent",
    "Objective",
    "Over",
    "Preference",
    "PromptedAgent",
    "PromptedRefiner",
    "RecordedAgent",
    "Refiner",
    "Replay",
    "RouteDecision",
    "Router",
    "Run",
    "RunStatus",
    "ScoringRouter",
    "Secrets",
    "Stage",
    "Task",
    "Team",
    "Usage",
    "VoteRefiner",
    "Workflow",
    "agent",
    "as_node",
    "diff",
    "open_store",
    "replay",
    "rerun",
    "whatif",
]
