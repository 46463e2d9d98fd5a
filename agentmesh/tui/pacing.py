"""How often a screen is drawn: as often as a reader can follow, and less where drawing costs much."""

from typing import Final

DRAW_S: Final = 0.125
"""How often the screen in front is drawn at most, in seconds: as often as a reader can follow."""

AGE_S: Final = 0.5
"""How often it is drawn though nothing came: what it shows has grown older."""

DRAWING_SHARE: Final = 0.08
"""How much of a processor the app may take to draw what came: where it takes more, it draws less often.

A mesh beside it shares the machine with it."""

LONGEST_REST_S: Final = 1.0
"""After so many seconds it draws, whatever that costs."""


class Pace:
    """Says whether it is time to draw: when all that the app did since it last drew is within its share by now."""

    def __init__(self) -> None:
        self._drawn_at: float | None = None
        self._spent_s = 0.0

    def is_time(self, now: float, spent_s: float) -> bool:
        """Return whether to draw at ``now``, when the thread of the app has used ``spent_s`` of a processor in all.

        >>> pace = Pace()
        >>> pace.is_time(0.0, 1.0)
        True
        >>> [pace.is_time(0.125 * tick, 1.03) for tick in range(1, 5)]  # it took .03 s: a share of .375 s, and a bit
        [False, False, False, True]
        """
        if self._drawn_at is not None:
            gone_s = now - self._drawn_at
            if spent_s - self._spent_s > DRAWING_SHARE * gone_s and gone_s < LONGEST_REST_S:
                return False
        self._drawn_at, self._spent_s = now, spent_s
        return True
