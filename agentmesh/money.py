"""Money: ``Decimal`` US dollars, whatever they were given as, and what of it is set aside for a call."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

Money: TypeAlias = Decimal | float | str


def as_usd(value: object) -> object:
    """Turn a float into the ``Decimal`` that its shortest decimal text names.

    >>> as_usd(0.1)
    Decimal('0.1')
    """
    return Decimal(repr(value)) if isinstance(value, float) else value


Usd = Annotated[Decimal, BeforeValidator(as_usd), Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Reserved:
    """What was set aside for one call: nothing where it does not fit, and then ``refusal`` says why."""

    usd: Decimal = Decimal(0)
    tokens: int = 0
    refusal: str | None = None
