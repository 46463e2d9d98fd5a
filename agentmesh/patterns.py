"""Regular expressions that cannot hang on a hostile text.

Python's matcher backtracks, so ``(a+)+$`` needs exponential time on a line of a's. A rule is written by the user, but
the text it is tried on may come from anybody; patterns that can blow up are refused when the rule is made.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from agentmesh.errors import ConfigError

LONGEST_PATTERN: Final = 200
SEARCHED: Final = 500
"""Only so many characters of a text are searched: with two open repeats the time grows with the cube of it."""
MOST_REPEATS: Final = 2
MOST_CHOICES: Final = 256
WINDOW: Final = 200
"""Characters of a whole text that are searched at a time."""
MOST_TRIES: Final = 2 * WINDOW
"""Of a pattern that whole texts are searched by: one open repeat and one optional part, or repeats that are bounded."""
_REPEAT: Final = re.compile(r"\*|\+|\?|\{(\d*)(,?)(\d*)\}")
_GROUP: Final = re.compile(r"\((?:\?(?:P?<\w+>|<?[=!]|[a-zA-Z]*:|[a-zA-Z]+(?=\))))?")
_OPAQUE: Final = re.compile(r"\(\?(?:#|[a-zA-Z]*x)")
_ATOM: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return ``pattern`` compiled to ignore case.

    Raises:
        ConfigError: it is no regular expression, too long, or one that may take for ever.

    >>> bool(compiled(r"integral|deriv").search("Compute the DERIVATIVE of x."))
    True
    """
    if len(pattern) > LONGEST_PATTERN:
        raise ConfigError(f"a pattern of {len(pattern)!r} characters was given; expected at most {LONGEST_PATTERN!r}")
    try:
        made = re.compile(pattern, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"the pattern {pattern!r} is no regular expression: {error}") from error
    problem = _Scan().blow_up(pattern)
    if problem:
        raise ConfigError(f"the pattern {pattern!r} may take for ever on some texts: {problem}")
    return made


def found(pattern: str, text: str) -> bool:
    """Return whether ``pattern`` occurs in the first 500 characters of ``text``, ignoring case."""
    return compiled(pattern).search(text[:SEARCHED]) is not None


@lru_cache(maxsize=256)
def compiled_for_all(pattern: str) -> re.Pattern[str]:
    r"""Return ``pattern`` compiled as by :func:`compiled`, if a text of any length may be searched by it.

    Raises:
        ConfigError: as for :func:`compiled`, or one place of a text could take too many tries.

    >>> bool(compiled_for_all(r"\bEMP\d+").search("Ask emp1234."))
    True
    """
    made, scan = compiled(pattern), _Scan()
    scan.blow_up(pattern)
    if scan.tries * scan.choices > MOST_TRIES:
        raise ConfigError(
            f"the pattern {pattern!r} is too slow for whole texts; expected one open repeat at most, or bounded ones "
            r"such as \d{4,12}"
        )
    return made


def everywhere(pattern: str, text: str) -> Iterator[tuple[int, int]]:
    r"""Yield where ``pattern`` occurs in ``text``, in time that grows with its length alone; places may overlap.

    It is searched in windows of 200 characters that overlap by half, so what needs more than 100 may be missed.

    Raises:
        ConfigError: as for :func:`compiled_for_all`.

    >>> list(everywhere(r"EMP\d+", "emp12 and emp3"))
    [(0, 5), (10, 14)]
    """
    made, half = compiled_for_all(pattern), WINDOW // 2
    for start in range(0, max(len(text), 1), half):
        is_last = start + WINDOW >= len(text)
        for found in made.finditer(text, start, start + WINDOW):
            if found.start() >= start + half and not is_last:
                break  # the next window sees it whole
            if found.end() > found.start():
                yield found.span()
        if is_last:
            break


@dataclass(slots=True)
class _Group:
    """What is inside one pair of parentheses: its alternatives, and whether anything in it is optional or repeated."""

    alternatives: int = 1
    branching: bool = False


@dataclass(slots=True)
class _Scan:
    """One pass over a pattern that counts what backtracking would have to try."""

    groups: list[_Group] = field(default_factory=lambda: [_Group()])
    repeats: int = 0
    choices: int = 1
    tries: int = 1
    closed: _Group | None = None
    nested: bool = False
    opaque: bool = False

    def blow_up(self, pattern: str) -> str:
        """Return what makes a valid pattern dangerous, "" when nothing does."""
        spot = 0
        while spot < len(pattern) and not self.opaque:
            spot = self._step(pattern, spot)
        if self.opaque:
            return "it holds a comment or the flag x; expected neither"
        if self.nested:
            return "a repeated group holds a repeat or an alternative; expected a plain group"
        if self.repeats > MOST_REPEATS:
            return f"{self.repeats} open repeats; expected at most {MOST_REPEATS}"
        return f"more than {MOST_CHOICES} combinations of choices" if self.choices > MOST_CHOICES else ""

    def _step(self, pattern: str, spot: int) -> int:
        repeat = _REPEAT.match(pattern, spot)
        if repeat and spot > 0:
            self._repeat(repeat)
            end = repeat.end()
            return end + 1 if pattern[end : end + 1] in ("?", "+") else end
        self.closed = None
        group = _GROUP.match(pattern, spot)
        if group:
            self.opaque = self.opaque or _OPAQUE.match(pattern, spot) is not None
            self.groups.append(_Group())
            return group.end()
        if pattern[spot] == ")":
            self._close()
        elif pattern[spot] == "|":
            self.groups[-1].alternatives += 1
        atom = _ATOM.match(pattern, spot)
        return atom.end() if atom else spot + 1

    def _close(self) -> None:
        group = self.groups.pop()
        self.choices *= group.alternatives
        group.branching = group.branching or group.alternatives > 1
        self.groups[-1].branching = self.groups[-1].branching or group.branching
        self.closed = group

    def _repeat(self, repeat: re.Match[str]) -> None:
        low, comma, high = repeat.groups()
        fixed = low is not None and not comma
        if repeat.group() == "?":
            self.choices *= 2
        elif not fixed:
            self.repeats += 1
            self.tries *= int(high) - int(low or 0) + 1 if high else WINDOW
        self.nested = self.nested or (repeat.group() != "?" and self.closed is not None and self.closed.branching)
        self.groups[-1].branching = self.groups[-1].branching or not fixed
        self.closed = None
