"""How a finished text is cut into the pieces of a stream."""

import re


def split_pieces(text: str) -> list[str]:
    """Cut a text into words, each with the white space around it, so that joined they are the text again.

    >>> split_pieces("to be or")
    ['to ', 'be ', 'or']
    """
    return re.findall(r"\s*\S+\s*|\s+", text)
