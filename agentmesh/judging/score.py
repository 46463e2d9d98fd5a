"""What counts as a score when somebody else's code returns it."""

import numpy as np

from agentmesh.errors import ConfigError

_LONGEST = 200  # characters of what was returned that an error quotes


def checked_score(value: object, scorer: str, *, takes_bool: bool = False) -> float | None:
    """Return ``value`` as a score from 0 to 1, or ``None`` when the scorer declined.

    Args:
        value: What the scorer returned.
        scorer: What an error calls it.
        takes_bool: Whether True and False are right and wrong. By rule an answer is either; a judge is asked how good
            it is, and a truth value from it is a sign that something else was returned.

    Raises:
        ConfigError: it is no score.

    >>> checked_score(True, "verifier 'exact'", takes_bool=True)
    1.0
    """
    if value is None:
        return None
    is_bool = isinstance(value, (bool, np.bool_))
    if is_bool and takes_bool:
        return float(bool(value))
    if is_bool or not isinstance(value, (int, float, np.integer, np.floating)) or not 0 <= value <= 1:
        shown = repr(value)
        shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
        raise ConfigError(f"the {scorer} returned {shown}; accepted is a number from 0 to 1, or None")
    return float(value)
