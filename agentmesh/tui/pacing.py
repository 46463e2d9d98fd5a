"""How often a screen is drawn: as often as a reader can follow, and less where drawing costs much."""

from typing import Final

DRAW_S: Final = 0.125
"""How often the screen in front is drawn at most, in seconds: as often as a reader can follow."""

DRAWING_SHARE: Final = 0.15
"""How much of a processor drawing may take: where a screen costs more than that, it is drawn less often."""

LONGEST_REST: Final = 8
"""How many times in a row ``DRAW_S`` may go by undrawn."""


class Pace:
    """Says whether it is time to draw; it is asked once in ``DRAW_S``."""

    def __init__(self) -> None:
        self._rest = 0

    def is_time(self) -> bool:
        """Return whether what was drawn before has left enough time to draw again."""
        is_time = self._rest == 0
        self._rest = max(self._rest - 1, 0)
        return is_time

    def rest_after(self, cost_s: float) -> None:
        """Rest until the ``cost_s`` seconds that drawing took of a processor are no more than its share.

        >>> pace = Pace()
        >>> pace.rest_after(0.06)
        >>> [pace.is_time() for _ in range(4)]
        [False, False, False, True]
        """
        self._rest = min(int(cost_s / (DRAWING_SHARE * DRAW_S)), LONGEST_REST)
