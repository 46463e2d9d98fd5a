"""Who can act: agents, what they declare, the registry that holds them, and who merges their answers."""

from agentmesh.agents.base import Agent, ask, check_answer
from agentmesh.agents.capability import CapabilityTable
from agentmesh.agents.function import FunctionAgent, agent
from agentmesh.agents.refiner import Refined, Refiner, VoteRefiner, WeightedAnswer
from agentmesh.agents.registry import Registry

__all__ = [
    "Agent",
    "CapabilityTable",
    "FunctionAgent",
    "Refined",
    "Refiner",
    "Registry",
    "VoteRefiner",
    "WeightedAnswer",
    "agent",
    "ask",
    "check_answer",
]
