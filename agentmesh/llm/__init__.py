"""Chat clients: what agents talk to models with. One weighs options instead of writing: ``LogprobModel``.

``OpenAIChat``, ``LogprobModel`` and ``LiteLlmChat`` load their packages, which take seconds, when they are first asked
for here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from agentmesh.llm.recorded import RecordedChat
from agentmesh.llm.scripted import ScriptedChat

if TYPE_CHECKING:
    from agentmesh.llm.litellm import LiteLlmChat
    from agentmesh.llm.logprobs import LogprobModel
    from agentmesh.llm.openai import OpenAIChat

__all__ = ["LiteLlmChat", "LogprobModel", "OpenAIChat", "RecordedChat", "ScriptedChat"]

_HEAVY = {
    "LiteLlmChat": "agentmesh.llm.litellm",
    "LogprobModel": "agentmesh.llm.logprobs",
    "OpenAIChat": "agentmesh.llm.openai",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HEAVY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HEAVY[name]), name)
