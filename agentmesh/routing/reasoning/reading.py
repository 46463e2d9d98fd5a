"""What a reply says, in whatever form it came: JSON as asked, JSON among prose or broken off, tags.

Nothing here knows which agents there are. Every pattern is read in one pass, so that a long reply costs little.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

THINKS: Final = "<think>"
THOUGHT: Final = "</think>"
"""What many models put around what they think before they answer."""
ID_KEYS: Final = ("id", "agent", "name")
_STRING: Final = r"""("[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*')"""
_PLAIN_TAGS: Final = re.compile(r"\s*<reason>([^<]*)</reason>\s*<agents>([^<]*)</agents>\s*")
_TAG: Final = re.compile(r"<(/?)(reason|agents?)\b[^<>]*>", re.IGNORECASE)
_SIGNS: Final = re.compile(r'\\.|[{}"]', re.DOTALL)
_AGENTS: Final = re.compile(r"""["']agents?["']\s*:\s*\[""", re.IGNORECASE)
_LISTED: Final = re.compile(rf"[\s,\[]*{_STRING}", re.DOTALL)
_REASON: Final = re.compile(
    r"""["']reason(?:ing)?["']\s*:\s*(?:"([^"\\]*(?:\\.[^"\\]*)*)|'([^'\\]*(?:\\.[^'\\]*)*))""",
    re.IGNORECASE | re.DOTALL,
)
_SCOPE: Final = re.compile(r"""["']out_of_scope["']\s*:\s*(true|false)""", re.IGNORECASE)
_LIST: Final = re.compile(r"\[[^\[\]]*\]")
_SCOPE_WORDS: Final = "out of scope"


@dataclass(frozen=True, slots=True)
class Said:
    """What a reply says before it is known who is meant. ``repairs`` say how far it was from what was asked."""

    reason: str = ""
    items: tuple[str, ...] = ()
    out_of_scope: bool = False
    repairs: tuple[str, ...] = ()


def plainly_said(text: str) -> Said | None:
    """Return what a reply says that is exactly as it was asked for, else ``None``."""
    return _plain_json(text) or _plain_tags(text)


def said_in(text: str) -> Said | None:
    """Return what a reply says that is nearly as it was asked for, ``None`` where it has no form that is known.

    >>> said_in('Sure: {"reason": "It is a sum.", "agents": ["solver"], "out_of_scope": false}').items
    ('solver',)
    """
    for read, repair in _READERS:
        said = read(text)
        if said is not None:
            return replace(said, repairs=(repair, *said.repairs))
    return None


def without_thoughts(text: str) -> str:
    """Return a reply without what a model thought aloud before it; thoughts that were cut off hold no answer.

    >>> without_thoughts("<think>Is it a sum?</think>solver<think>or")
    'solver'
    """
    return text.rpartition(THOUGHT)[2].partition(THINKS)[0]


def is_scope(text: str) -> bool:
    """Return whether a text is the words that stand for nobody.

    >>> is_scope(" Out_of-scope. "), is_scope("in scope")
    (True, False)
    """
    if len(text) > 4 * len(_SCOPE_WORDS):
        return False
    return " ".join(re.split(r"[\s_-]+", text.strip(" \t\r\n\"'`*_.[]()").casefold())) == _SCOPE_WORDS


def _plain_json(text: str) -> Said | None:
    """Read the one JSON object that was asked for, and nothing that is nearly it."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.keys() != {"reason", "agents", "out_of_scope"}:
        return None
    reason, agents, scope = value["reason"], value["agents"], value["out_of_scope"]
    if not isinstance(reason, str) or not isinstance(scope, bool) or not _is_texts(agents):
        return None
    return Said(reason, tuple(agents), scope)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _plain_tags(text: str) -> Said | None:
    found = _PLAIN_TAGS.fullmatch(text)
    if found is None:
        return None
    reason, inside = found.groups()
    if inside.strip() == _SCOPE_WORDS:
        return Said(reason, out_of_scope=True)
    agents = _loaded(inside)
    return Said(reason, tuple(agents)) if isinstance(agents, list) and _is_texts(agents) else None


def _objects(text: str) -> Said | None:
    """Read the last JSON object among other text that speaks of agents or of the scope."""
    for part in reversed(_outermost(text)):
        said = _answer(_loaded(part))
        if said is not None:
            return said
    return None


def _outermost(text: str) -> list[str]:
    """Return the stretches from a brace to the one that closes it, those inside others left out."""
    found, depth, start, quoted = list[str](), 0, 0, False
    for match in _SIGNS.finditer(text):
        sign = match.group()
        if sign == '"':
            quoted = depth > 0 and not quoted
        elif quoted or len(sign) > 1:
            continue
        elif sign == "{":
            start = start if depth else match.start()
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                found.append(text[start : match.end()])
    return found


def _loaded(text: str) -> object:
    """Return JSON as a value, ``None`` where it is none or nested without end."""
    try:
        value: object = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return value


def _answer(value: object) -> Said | None:
    """Read an object that says something, or else one that stands directly inside it."""
    if not isinstance(value, dict):
        return None
    said = _fields(value)
    inner = (_fields(one) for one in value.values() if isinstance(one, dict))
    return said if said is not None else next((one for one in inner if one is not None), None)


def _fields(value: dict[str, object]) -> Said | None:
    fields = {key.casefold(): one for key, one in value.items()}
    agents = fields.get("agents", fields.get("agent"))
    scope = fields.get("out_of_scope")
    if agents is None and scope is not True:
        return None
    items = _flattened(agents)
    repairs = () if agents is None or _is_texts(agents) else ("the ids stood in another form than a list of texts",)
    reason = fields.get("reason", fields.get("reasoning"))
    return Said(reason if isinstance(reason, str) else "", items, scope is True, repairs)


def _flattened(value: object) -> tuple[str, ...]:
    """Return the texts and numbers of nested lists, and what objects among them call their id."""
    found, left = list[str](), [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            named = [one[key] for key in ID_KEYS if key in one][:1]
            left.extend(named or reversed(list(one)))
        elif isinstance(one, list):
            left.extend(reversed(one))
        elif isinstance(one, str):
            found.append(one)
        elif isinstance(one, int | float) and not isinstance(one, bool):
            found.append(repr(one))
    return tuple(found)


def _tags(text: str) -> Said | None:
    """Read the last agents between tags, and the last reason before them."""
    tags = list(_TAG.finditer(text))
    places = [place for place, tag in enumerate(tags) if not tag[1] and tag[2].casefold() != "reason"]
    if not places:
        return None
    inside = _inside(text, tags, places[-1])
    reasons = [place for place, tag in enumerate(tags) if not tag[1] and tag[2].casefold() == "reason"]
    reason = _inside(text, tags, reasons[-1]) if reasons else ""
    if is_scope(inside):
        return Said(reason, out_of_scope=True)
    loaded = _loaded(inside)
    items = _flattened(loaded) if isinstance(loaded, list) else (inside,)
    return Said(reason, tuple(item for item in items if item.strip()))


def _inside(text: str, tags: list[re.Match[str]], place: int) -> str:
    """Return what stands between a tag and the next one."""
    end = tags[place + 1].start() if place + 1 < len(tags) else len(text)
    return text[tags[place].end() : end]


def _broken(text: str) -> Said | None:
    """Read the ids of JSON that was broken off or is none: those that stand there whole."""
    starts = list(_AGENTS.finditer(text))
    scope = _SCOPE.search(text)
    out = scope is not None and scope[1].casefold() == "true"
    if not starts and not out:
        return None
    items, place = list[str](), starts[-1].end() if starts else len(text)
    while (listed := _LISTED.match(text, place)) is not None:
        items.append(_unquoted(listed[1]))
        place = listed.end()
    reason = _REASON.search(text)
    return Said(_unquoted(f'"{reason[1] or reason[2]}"') if reason else "", tuple(items), out)


def _unquoted(quoted: str) -> str:
    loaded = _loaded(quoted)
    return loaded if isinstance(loaded, str) else quoted[1:-1]


def _bare_list(text: str) -> Said | None:
    """Read the last JSON list of texts, which a model may give without the object around it."""
    for part in reversed(_LIST.findall(text)):
        value = _loaded(part)
        if isinstance(value, list) and value and _is_texts(value):
            return Said(items=tuple(value))
    return None


_READERS: Final[tuple[tuple[Callable[[str], Said | None], str], ...]] = (
    (_objects, "the JSON stood among other text or had other fields"),
    (_tags, "the tags stood among other text or were not whole"),
    (_broken, "the JSON could not be read as a whole; what could be read was used"),
    (_bare_list, "only a list of ids could be read"),
)
