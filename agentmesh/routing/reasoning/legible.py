"""Text of strangers, made fit for a prompt and for a terminal: what can be read stays, what hides or steers goes."""

from typing import Final
from unicodedata import normalize

CUT: Final = " [...] "
JOINERS: Final = "\u200c\u200d"  # Persian and Indic words and many emoji are spelled with them
BRACKETS: Final = str.maketrans("\uff1c\uff1e\ufe64\ufe65", "<><>")
"""Other signs that a reader takes for angle brackets: as brackets they are escaped as brackets are."""


def legible(text: str) -> str:
    r"""Return ``text`` without what does not print: control, direction and tag characters, half surrogate pairs.

    Line ends and tabs stay, other white space becomes a blank.

    >>> legible("up\u202eside\x1b[2J\u00a0down\n")
    'upside[2J down\n'
    """
    plain = text.translate(BRACKETS)
    return plain if plain.isprintable() else "".join(map(_kept, plain))


def _kept(sign: str) -> str:
    if sign.isprintable() or sign in "\n\t" or sign in JOINERS:
        return sign
    return " " if sign.isspace() else ""


def beginning(text: str, most: int) -> str:
    """Return the legible text, or its first ``most`` characters with a mark that it was cut.

    >>> beginning("a long story", 6)
    'a long [...] '
    """
    return legible(text) if len(text) <= most else legible(text[:most]) + CUT


def both_ends(text: str, most: int) -> str:
    """Return the legible text, or ``most`` characters of it: of a long one the question often stands at the end.

    >>> both_ends("here is a long story; who did it?", 18)
    'here is a [...] o did it?'
    """
    if len(text) <= most:
        return legible(text)
    tail = most // 2
    return legible(text[: most - tail]) + CUT + legible(text[-tail:])


def one_line(text: str, most: int) -> str:
    r"""Return the legible text in one line of at most ``most`` characters.

    >>> one_line("first\n\n second", 8)
    'first s…'
    """
    line = " ".join(legible(text[: 4 * most]).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def folded(text: str) -> str:
    """Return what is left of a name when case, width and white space do not count.

    >>> folded("  The\u00a0SOLVER ")
    'the solver'
    """
    return " ".join(normalize("NFKC", text).casefold().split())
