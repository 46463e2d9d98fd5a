"""Chat clients: what agents talk to models with. One weighs options instead of writing: ``LogprobModel``.

``OpenAIChat``, ``LogprobModel`` and ``LiteLlmChat`` load their packages, which take seconds, when they are first asked
for here.
"""

from typing import TYPE_CHECKING

from agentmesh.lazy import lazily
from agentmesh.llm.recorded import RecordedChat
from agentmesh.llm.scripted import ScriptedChat

if TYPE_CHECKING:
    from agentmesh.llm.litellm import LiteLlmChat
    from agentmesh.llm.logprobs import LogprobModel
    from agentmesh.llm.openai import OpenAIChat

__all__ = ["LiteLlmChat", "LogprobModel", "OpenAIChat", "RecordedChat", "ScriptedChat"]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__, {"LiteLlmChat": "llm.litellm", "LogprobModel": "llm.logprobs", "OpenAIChat": "llm.openai"}
    )
