"""Who can act: agents, what they declare, the registry that holds them, and who merges their answers."""

from agentmesh.agents.base import Agent, ask, check_answer
from agentmesh.agents.capability import CapabilityTable
from agentmesh.agents.function import FunctionAgent, agent
from agentmesh.agents.merging import PromptedRefiner
from agentmesh.agents.pricing import call_cost_usd
from agentmesh.agents.prompted import PromptedAgent
from agentmesh.agents.recorded import RecordedAgent
from agentmesh.agents.refiner import Refined, Refiner, VoteRefiner, WeightedAnswer
from agentmesh.agents.registry import Registry

__all__ = [
    "Agent",
    "CapabilityTable",
    "FunctionAgent",
    "PromptedAgent",
    "PromptedRefiner",
    "RecordedAgent",
    "Refined",
    "Refiner",
    "Registry",
    "VoteRefiner",
    "WeightedAnswer",
    "agent",
    "ask",
    "call_cost_usd",
    "check_answer",
]
