"""What a client says its tokens cost, and what a request to it will cost at most."""

from decimal import Decimal
from typing import Protocol, runtime_checkable

from agentmesh.llm.wire import price
from agentmesh.protocols import ChatModel, ChatRequest, OptionModel
from agentmesh.records import Usage

ASSUMED_OUTPUT_TOKENS = 300
"""Output tokens of an answer nobody has seen yet: the recorded MMLU-Pro answers average close to it."""

CHARACTERS_PER_TOKEN = 4
"""English text in common tokenizers; used only to estimate a price before a call."""


@runtime_checkable
class Priced(Protocol):
    """A client that knows what its tokens cost."""

    @property
    def price_in_per_m_usd(self) -> Decimal | None:
        """Return US dollars for a million tokens read, ``None`` if unknown."""
        ...

    @property
    def price_out_per_m_usd(self) -> Decimal | None:
        """Return US dollars for a million tokens written, ``None`` if unknown."""
        ...


def prices_of(client: ChatModel | OptionModel) -> tuple[Decimal | None, Decimal | None]:
    """Return US dollars for a million tokens read and written, ``None`` where the client does not know."""
    if isinstance(client, Priced):
        return client.price_in_per_m_usd, client.price_out_per_m_usd
    return None, None


def request_usd(client: ChatModel, request: ChatRequest) -> Decimal | None:
    """Return what a reply of the greatest length would cost, in US dollars; ``None`` for an unknown price."""
    price_in, price_out = prices_of(client)
    characters = sum(len(message.content) for message in request.messages)
    written = request.max_tokens or ASSUMED_OUTPUT_TOKENS
    return price(Usage(input_tokens=characters // CHARACTERS_PER_TOKEN + 1, output_tokens=written), price_in, price_out)
