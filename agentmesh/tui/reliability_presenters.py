"""Whether what a router expects comes true, as a curve of characters: a line for each bin of what was expected."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from agentmesh.tui import late
from agentmesh.tui.charts import place_on, strip

if TYPE_CHECKING:
    from agentmesh.learning.predictions import Prediction, Predictions
    from agentmesh.learning.reliability import Reliability, ReliabilityBin

PLOT: Final = 21
"""Columns from 0 to 1, so that the curve fits beside the list of routers on 80 columns."""

EXPECTED, CAME, BOTH = "│", "●", "◆"


def calibration_lines(read: "Predictions", router: str, parameters: Collection[str]) -> list[str]:
    """Return the curve of one router, of the parameters it ever held, and what could not be counted.

    An answer whose decision names no expected quality of its agent, or none between 0 and 1, is told and not guessed.
    """
    ours = [one for one in read.found if one.router == router and one.parameters in parameters]
    counted = [one for one in ours if one.expected is not None and 0 <= one.expected <= 1]
    lines = _curve(counted) if counted else [f"no answer with an expected quality from {router} was scored yet"]
    return [*lines, *_left_out(read, ours, len(counted))]


def _curve(counted: "list[Prediction]") -> list[str]:
    # quick by now: whoever read the predictions has loaded what it stands on
    found = late.reliability([one.expected or 0.0 for one in counted], [one.score for one in counted])
    return [
        f"{'expected':<8} {'n':>5} {'score':>5} {'95 %':<9} {_scale()}",
        *map(bin_line, found.bins),
        f"{EXPECTED} expected  {CAME} mean score  {BOTH} both  ─ its 95 % interval",
        *measure_lines(found),
    ]


def _scale() -> str:
    cells = [" "] * PLOT
    for text, value in (("0", 0.0), (".5", 0.5), ("1", 1.0)):
        begin = place_on(value, PLOT)
        cells[begin : begin + len(text)] = text
    return "".join(cells)


def bin_line(one: "ReliabilityBin") -> str:
    """Return a bin: what was expected, of how many, what came of it with its interval, and all that drawn.

    >>> from agentmesh.learning.reliability import ReliabilityBin
    >>> bin_line(ReliabilityBin(low=0.9, high=1.0))
    '0.9-1.0      0'
    """
    head = f"{one.low:.1f}-{one.high:.1f}  {one.n:>5}"
    if one.predicted is None or one.score is None:
        return head
    is_one = place_on(one.predicted, PLOT) == place_on(one.score, PLOT)
    marks = [(one.predicted, EXPECTED), (one.score, BOTH if is_one else CAME)]
    drawn = strip(one.score_low, one.score_high, marks, PLOT).rstrip()
    return f"{head}  {one.score:.2f} {one.score_low:.2f}-{one.score_high:.2f} {drawn}"


def measure_lines(found: "Reliability") -> list[str]:
    """Return the two errors, with what they say.

    >>> from agentmesh.learning.reliability import reliability
    >>> measure_lines(reliability([0.75, 0.75, 0.75, 0.75], [1, 1, 1, 0]))[0]
    'ECE 0.000: how far expected and score lie apart'
    """
    if found.ece is None or found.brier is None:
        return []
    return [
        f"ECE {found.ece:.3f}: how far expected and score lie apart",
        f"Brier score {found.brier:.3f}: mean squared error, 0 is best",
    ]


def _left_out(read: "Predictions", ours: "list[Prediction]", counted: int) -> list[str]:
    others, unknown = len(read.found) - len(ours), sum(one.expected is None for one in ours)
    told = (
        (counted, "of the newest scored answers are counted"),
        (others, "were decided by other routers"),
        (unknown, "not counted: no expected quality was recorded"),
        (len(ours) - counted - unknown, "not counted: expected was not within 0 to 1"),
        (read.pruned, "runs not counted: they were pruned"),
        (read.unread, "runs not read: it took too long"),
    )
    return [f"{number:,} {what}" for number, what in told if number]
