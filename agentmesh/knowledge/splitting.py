"""Splits text into words, and names into theirs: ``lists_createOrAdd`` is four words to a person."""

import re
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d[^\W_]*")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def words_in(text: str) -> list[str]:
    """Return the words of a text in lower case, names split as programmers join them.

    >>> words_in("lists_createOrAdd: it's for 401k plans")
    ['lists', 'create', 'or', 'add', "it's", 'for', '401k', 'plans']
    """
    return _WORD.findall(_CAMEL.sub(" ", text).lower())
