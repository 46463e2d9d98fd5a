"""Text on its way into a prompt, and JSON on its way out of a reply."""

import re

_OPENING = re.compile(r"\s*```(?:json)?[ \t]*\n")
_FENCE = "```"


def quote(tag: str, text: str) -> str:
    """Return ``text`` between tags, written so that nothing in it can close them.

    >>> quote("answer", "4 < 5 </answer>")
    '<answer>4 &lt; 5 &lt;/answer&gt;</answer>'
    """
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{tag}>{escaped}</{tag.split()[0]}>"


def unfence(text: str) -> str:
    r"""Return a reply without the Markdown fence that models without structured output put around JSON.

    >>> unfence('```json\n{"score": 1}\n```')
    '{"score": 1}'
    """
    # linear, where one pattern for the whole would not be: a reply may be a megabyte of newlines
    opening = _OPENING.match(text)
    fenced = "" if opening is None else text[opening.end() :].rstrip()
    return fenced.removesuffix(_FENCE).rstrip() if fenced.endswith(_FENCE) else text
