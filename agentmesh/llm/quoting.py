"""Text on its way into a prompt, and JSON on its way out of a reply."""

import re

_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*?)\n?\s*```\s*", flags=re.DOTALL)


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
    fenced = _FENCED.fullmatch(text)
    return fenced.group(1) if fenced else text
