"""What a client says its tokens cost."""

from decimal import Decimal
from typing import Protocol, runtime_checkable

from agentmesh.protocols import ChatModel, OptionModel


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
