"""The options that several commands share, and the numbers they accept."""

import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def number(low: float = 0.0, high: float = math.inf, *, open_low: bool = False) -> Callable[[str], float]:
    """Return what reads a finite number from ``low`` to ``high``; ``open_low`` leaves ``low`` itself out.

    >>> number(0, 1)("0.5"), number(0, 1).__name__
    (0.5, 'number')
    """
    accepted = (
        f"from {low:g} to {high:g}" if math.isfinite(high) else f"{'above' if open_low else 'of at least'} {low:g}"
    )

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        enough = found > low if open_low else found >= low
        if not (enough and found <= high and math.isfinite(found)):
            raise click.BadParameter(f"{text!r} is not a number {accepted}.")
        return found

    read.__name__ = "number"  # in capitals a help text names by it what an option takes
    return read


def dollars(text: str) -> Decimal:
    """Read an amount of US dollars, as the ``Decimal`` that was typed.

    >>> dollars("0.10")
    Decimal('0.10')
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount < 0:
        raise click.BadParameter(f"{text!r} is not an amount of dollars of at least 0.")
    return amount


def json_option(function: Function) -> Function:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(function)


def db_option(function: Function) -> Function:
    """Add ``--db``."""
    text = (
        "The database: sqlite:///PATH or postgresql://USER@HOST/NAME. [AGENTMESH_DB; default: sqlite:///agentmesh.db]"
    )
    return click.option("--db", metavar="URL", help=text)(function)


def app_option(function: Function) -> Function:
    """Add ``--app``."""
    text = "Your mesh, or a function that returns one. [AGENTMESH_APP]"
    return click.option("--app", metavar="MODULE:ATTRIBUTE", help=text)(function)


def limit_options(function: Function) -> Function:
    """Add the options that bound a run: ``--max-cost``, ``--timeout`` and ``--agents``."""
    for option in (
        click.option("--agents", "max_agents", type=click.IntRange(min=1), metavar="K", help="Call at most K agents."),
        click.option("--timeout", "timeout_s", type=number(open_low=True), metavar="SECONDS", help="End the run then."),
        click.option("--max-cost", "cost_usd", type=dollars, metavar="USD", help="Spend at most this."),
    ):
        function = option(function)
    return function
