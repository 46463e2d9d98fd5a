r"""Text in PostgreSQL, which holds every character but NUL.

NUL is spelled as three control characters that hardly any text has, and those are spelled in the same way, so that no
two texts are stored alike. A spelling begins with DLE and goes on with two of DC1 and DC2, none of which is ever stored
for itself: a text is found in another exactly where it was in what they stand for.
"""

import re
from typing import Final

_SPELLED: Final = {"\0": "\x10\x11\x11", "\x10": "\x10\x11\x12", "\x11": "\x10\x12\x11", "\x12": "\x10\x12\x12"}
_MEANT: Final = {spelling: sign for sign, spelling in _SPELLED.items()}
_TABLE: Final = str.maketrans(_SPELLED)
_SPELLING: Final = re.compile("\x10[\x11\x12]{2}")


def spelled(text: str) -> str:
    r"""Return text as PostgreSQL can hold it.

    >>> spelled("a\0b")
    'a\x10\x11\x11b'
    """
    if "\0" in text or "\x10" in text or "\x11" in text or "\x12" in text:
        return text.translate(_TABLE)
    return text


def meant(text: str) -> str:
    r"""Return what ``spelled`` was given.

    >>> meant(spelled("a\0b\x10"))
    'a\x00b\x10'
    """
    return _SPELLING.sub(lambda found: _MEANT[found.group()], text) if "\x10" in text else text
