"""How quality and cost of outcomes moved from the first to the last, read without reading all of a long log."""

from itertools import pairwise
from typing import Final

from agentmesh.records import Experience, Record
from agentmesh.store.base import TraceStore

COLUMNS: Final = 40
READ: Final = 50
"""Outcomes that a column rests on at most, the last ones of its part of the log."""


class CurvePoint(Record):
    """The outcomes with ``after < sequence <= until``: means over the last ``n`` of them, ``None`` where none is known.

    Outcomes of all agents count, whichever router asked them.
    """

    after: int
    until: int
    n: int = 0
    quality: float | None = None
    cost_usd: float | None = None


def learning_curve(store: TraceStore, *, columns: int = COLUMNS, read: int = READ) -> tuple[CurvePoint, ...]:
    """Return points of equal parts of the log, oldest first; as many as there are outcomes, ``columns`` at most.

    Raises:
        StoreError: the store cannot be read.
    """
    last = store.last_experience()
    parts = min(columns, last)
    bounds = [last * part // parts for part in range(parts + 1)] if parts else []
    return tuple(
        _point(store.experiences(max(after, until - read), until=until), after, until)
        for after, until in pairwise(bounds)
    )


def _point(outcomes: list[Experience], after: int, until: int) -> CurvePoint:
    costs = [float(one.cost_usd) for one in outcomes if one.cost_usd is not None]
    return CurvePoint(
        after=after,
        until=until,
        n=len(outcomes),
        quality=sum(one.quality for one in outcomes) / len(outcomes) if outcomes else None,
        cost_usd=sum(costs) / len(costs) if costs else None,
    )
