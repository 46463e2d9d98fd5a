"""Doubles, a loopback server and executable contracts for those who extend agentmesh.

The contracts are classes of tests to inherit in a test module of your own; they need pytest, and the strategies
Hypothesis, which is why names are imported when they are first used.
"""

from typing import TYPE_CHECKING

from agentmesh.lazy import lazily

if TYPE_CHECKING:
    from agentmesh.testing.agents import AgentContract as AgentContract
    from agentmesh.testing.agents import AgentDouble as AgentDouble
    from agentmesh.testing.agents import CannedAgent as CannedAgent
    from agentmesh.testing.agents import EchoAgent as EchoAgent
    from agentmesh.testing.agents import FailingAgent as FailingAgent
    from agentmesh.testing.agents import HangingAgent as HangingAgent
    from agentmesh.testing.agents import NoneAgent as NoneAgent
    from agentmesh.testing.agents import SlowAgent as SlowAgent
    from agentmesh.testing.agents import StreamingAgent as StreamingAgent
    from agentmesh.testing.asking import ScriptedAsker as ScriptedAsker
    from agentmesh.testing.asking import ScriptedOptions as ScriptedOptions
    from agentmesh.testing.completions import ServedRequest as ServedRequest
    from agentmesh.testing.completions import ServerFault as ServerFault
    from agentmesh.testing.completions import ServerReply as ServerReply
    from agentmesh.testing.faults import FaultyAgent as FaultyAgent
    from agentmesh.testing.routers import RouterContract as RouterContract
    from agentmesh.testing.server import FakeOpenAIServer as FakeOpenAIServer
    from agentmesh.testing.stores import TraceStoreContract as TraceStoreContract

_HOMES = {
    "AgentContract": "agents",
    "AgentDouble": "agents",
    "CannedAgent": "agents",
    "EchoAgent": "agents",
    "FailingAgent": "agents",
    "FakeOpenAIServer": "server",
    "FaultyAgent": "faults",
    "HangingAgent": "agents",
    "NoneAgent": "agents",
    "RouterContract": "routers",
    "ScriptedAsker": "asking",
    "ScriptedOptions": "asking",
    "ServedRequest": "completions",
    "ServerFault": "completions",
    "ServerReply": "completions",
    "SlowAgent": "agents",
    "StreamingAgent": "agents",
    "TraceStoreContract": "stores",
}

__all__ = sorted(_HOMES)

if not TYPE_CHECKING:
    __getattr__ = lazily(__name__, {name: f"testing.{home}" for name, home in _HOMES.items()})
