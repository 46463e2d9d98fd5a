"""Text on its way into a prompt and back, and JSON on its way out of a reply."""

import html
import re
from collections.abc import Sequence
from hashlib import blake2b

_OPENING = re.compile(r"\s*```(?:json)?[ \t]*\n")
_FENCE = "```"


def quote(tag: str, text: str) -> str:
    """Return ``text`` between tags, written so that nothing in it can close them.

    >>> quote("answer", "4 < 5 </answer>")
    '<answer>4 &lt; 5 &lt;/answer&gt;</answer>'
    """
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{tag}>{escaped}</{tag.split()[0]}>"


def unquote(escaped: str) -> str:
    """Return a text as it was before :func:`quote` put it between tags, the tags left out.

    >>> unquote("4 &lt; 5 &amp;lt;")
    '4 < 5 &lt;'
    """
    return html.unescape(escaped)


def shuffled(ids: Sequence[str], text: str) -> tuple[str, ...]:
    """Return ids in an order that hangs on them and on ``text`` alone, so that a place in a list says nothing of them.

    >>> shuffled(["a", "b", "c"], "one task"), shuffled(["c", "b", "a"], "another task")
    (('b', 'c', 'a'), ('c', 'a', 'b'))
    """
    return tuple(sorted(ids, key=lambda one: (_digest(text, one), one)))


def _digest(text: str, one: str) -> bytes:
    return blake2b(f"{text}\0{one}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def unfence(text: str) -> str:
    r"""Return a reply without the Markdown fence that models without structured output put around JSON.

    >>> unfence('```json\n{"score": 1}\n```')
    '{"score": 1}'
    """
    # linear, where one pattern for the whole would not be: a reply may be a megabyte of newlines
    opening = _OPENING.match(text)
    fenced = "" if opening is None else text[opening.end() :].rstrip()
    return fenced.removesuffix(_FENCE).rstrip() if fenced.endswith(_FENCE) else text
