r"""Text of tasks, agents and files, made safe to show: what could steer a terminal is written as an escape.

A model's answer may hold escape sequences that recolour, move or retitle a terminal, and characters that reverse the
order of what follows. ``--json`` carries the text exactly: JSON has its own escapes.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal

_CONTROL = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_ORDER = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_SURROGATES = "\ud800-\udfff"
_UNSAFE = re.compile(f"[{_CONTROL}{_ORDER}{_SURROGATES}]")
_UNSAFE_IN_LINE = re.compile(f"[\t\n{_CONTROL}{_ORDER}{_SURROGATES}]")
HARMLESS_LINE = f"[^\t\n{_CONTROL}{_ORDER}{_SURROGATES}]*"
"""What a line is made of that needs no escape, as a pattern."""

_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def escape(text: str) -> str:
    r"""Return ``text`` with control characters but tab and line feed written as escapes.

    >>> escape("one\n\x1b[31mtwo")
    'one\n\\x1b[31mtwo'
    """
    return _UNSAFE.sub(_as_escape, text)


def escape_line(text: str) -> str:
    r"""Return ``text`` as one line: tabs and line feeds are escapes too.

    >>> escape_line("one\ntwo")
    'one\\ntwo'
    """
    return _UNSAFE_IN_LINE.sub(_as_escape, text)


def escape_json(text: str) -> str:
    r"""Return JSON text with the characters that JSON leaves raw but a terminal obeys written as JSON escapes.

    >>> escape_json('"\x9b1m"')
    '"\\u009b1m"'
    """
    return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def shorten(text: str, width: int) -> str:
    """Return the first ``width`` characters of ``text`` on one line, the last an ellipsis when some were left out.

    >>> shorten("a long task", 6)
    'a lon…'
    """
    line = escape_line(text if len(text) <= width else text[: width + 1])
    return line if len(line) <= width else line[: width - 1] + "…"


def usd(cost: Decimal | float | None) -> str:
    """Return a cost as text.

    >>> usd(Decimal("0.000200")), usd(None)
    ('0.0002 USD', 'cost unknown')
    """
    if cost is None:
        return "cost unknown"
    if cost == 0:
        return "0 USD"
    return f"{float(cost):.4g} USD" if float(cost) >= 0.0001 else f"{float(cost):.2e} USD"


def seconds(elapsed: float | None) -> str:
    """Return a duration as text.

    >>> seconds(0.0021), seconds(3.5), seconds(None)
    ('2.1 ms', '3.50 s', '-')
    """
    if elapsed is None:
        return "-"
    return f"{elapsed * 1000:.1f} ms" if elapsed < 1 else f"{elapsed:.2f} s"


def moment(at: float) -> str:
    """Return a point in time, UTC.

    >>> moment(0.0)
    '1970-01-01 00:00:00Z'
    """
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _as_escape(found: re.Match[str]) -> str:
    character = found.group()
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
