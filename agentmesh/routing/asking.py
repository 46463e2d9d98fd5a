"""How a router asks a chat model: through something it is handed, so that a replay can hand it what was said then."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from agentmesh.protocols import ChatRequest


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of asking. With a ``fault`` there is no text, or none to be used, and the fault says why.

    ``cost_usd`` is ``None`` when it is unknown, and 0 for a reply that was ``cached``.
    """

    text: str
    model: str
    fault: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None
    latency_s: float = 0.0
    cached: bool = False


class Asker(Protocol):
    """Puts a request to the chat model of a mesh, within what the run has left of time and money."""

    async def ask(self, request: ChatRequest, *, timeout_s: float | None = None) -> Reply:
        """Return the reply. A model that fails, refuses or takes too long is a fault in it, never an exception."""
        ...
