"""Checks and trims texts before an embedder reads them, so that every embedder treats odd input alike."""

from collections.abc import Sequence

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.types import VectorArray

# English takes about 4.5 characters a token, so the 512 tokens that count end well before this; tokenising 8,192
# characters takes 3 ms, a megabyte would take 0.6 s.
MAX_CHARS = 8192


def checked_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts as a list, or refuse what is no sequence of ``str``.

    Raises:
        ConfigError: ``texts`` is one string (a common slip: its characters would be embedded), or an item is no string.

    >>> checked_texts(("one", "two"))
    ['one', 'two']
    """
    if isinstance(texts, (str, bytes)):
        raise ConfigError(f"embed takes a sequence of texts, got the single text {texts[:40]!r}; pass [text]")
    found = list(texts)
    for position, text in enumerate(found):
        if not isinstance(text, str):
            raise ConfigError(f"embed takes texts of type str, got {text!r} at position {position}")
    return found


def readable(text: str, *, max_chars: int = MAX_CHARS) -> str:
    r"""Return at most ``max_chars`` characters of ``text``, without lone surrogates, which UTF-8 cannot carry.

    >>> readable("caf\u00e9\ud800 au lait", max_chars=7)
    'café a'
    """
    return text[:max_chars].encode("utf-8", "ignore").decode("utf-8")


def unit_rows(vectors: VectorArray) -> VectorArray:
    """Divide each row by its Euclidean length; rows of zeros stay zeros.

    Shapes:
        vectors (m, d); returns (m, d) float32.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0.0, lengths, 1.0), dtype=np.float32)
