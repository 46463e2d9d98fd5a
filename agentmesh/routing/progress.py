"""How a router that is fitted for minutes tells how far it is."""

from collections.abc import Callable
from typing import Final, TypeAlias

Say: TypeAlias = Callable[[str], None]
"""Takes a line that says what is being done."""

CELLS: Final = 20
MINUTE: Final = 60.0


def unsaid(doing: str) -> None:
    """Be told, and tell nobody."""


def bar(what: str, done: int, total: int, elapsed_s: float) -> str:
    """Return a line with a bar, how far it is, and about how long it will still take.

    >>> bar("training gnn", 2, 8, 10.0)
    'training gnn ━━━━━               2 of 8 passes, about 30 s left'
    """
    filled = CELLS * done // max(total, 1)
    left = "" if done == 0 else f", about {lasting((total - done) * elapsed_s / done)} left"
    return f"{what} {'━' * filled}{' ' * (CELLS - filled)}{done} of {total} passes{left}"


def lasting(seconds: float) -> str:
    """Return a time in words.

    >>> lasting(12.4), lasting(200.0)
    ('12 s', '3 min 20 s')
    """
    whole = round(seconds)
    return f"{whole} s" if whole < MINUTE else f"{whole // 60} min {whole % 60} s"
