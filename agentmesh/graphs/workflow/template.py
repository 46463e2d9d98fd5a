"""Prompts with places for texts: filled in one pass, so that what a text holds is data and never a place."""

import re
from collections.abc import Mapping
from typing import Final

_PLACE: Final = re.compile(r"\{\{|\}\}|\{([A-Za-z][A-Za-z0-9_-]*)\}")


def names_in(prompt: str) -> tuple[str, ...]:
    """Return the names that a prompt has places for, each once, in order.

    >>> names_in('Sum up {notes} and {task} as {"json": 1}; {{this}} is no place.')
    ('notes', 'task')
    """
    return tuple(dict.fromkeys(match[1] for match in _PLACE.finditer(prompt) if match[1] is not None))


def filled(prompt: str, texts: Mapping[str, str]) -> str:
    """Return a prompt with a text in each of its places; doubled braces become single ones.

    >>> filled("{{x}}: {task} {notes.__class__}", {"task": "{x} }} {task}"})
    '{x}: {x} }} {task} {notes.__class__}'

    Raises:
        KeyError: no text has the name of a place.
    """
    return _PLACE.sub(lambda match: match[0][0] if match[1] is None else texts[match[1]], prompt)
