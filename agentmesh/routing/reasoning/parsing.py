"""From the reply of a reasoning model to agents that exist: strict, total, and every repair on record.

A reply is a stranger's text. It is never executed, never raises, and names nobody but the agents that were put to the
model. What is not as it was asked for is repaired where its meaning is plain, and the repair is recorded; else the
reply is of no use, and the fault says why.
"""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agentmesh.routing.reasoning.legible import folded, one_line
from agentmesh.routing.reasoning.prompt import handles
from agentmesh.routing.reasoning.reading import Said, is_scope, plainly_said, said_in, without_thoughts
from agentmesh.types import AgentId

LONGEST: Final = 20_000
"""Characters of a reply that are read; a reason and three ids take a twentieth of it."""
REASON: Final = 1000  # characters of the reason that are kept
SHOWN: Final = 3  # of how many things a repair gives the names
SHOWN_TEXT: Final = 40
_AROUND: Final = " \t\r\n\"'`*.,;:()[]{}<>\u00ab\u00bb\u2018\u2019\u201c\u201d"
_QUOTES: Final = "\"'`*\u00ab\u00bb\u2018\u2019\u201c\u201d"
_BULLET: Final = re.compile(r"\s*(?:[-*\u2022]|\d{1,3}[.)])\s+")
_PARTS: Final = re.compile(r"[\n,;]")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was understood: agents in the order they were named, or out of scope, or a fault and neither."""

    named: tuple[AgentId, ...] = ()
    reason: str = ""
    out_of_scope: bool = False
    repairs: tuple[str, ...] = ()
    fault: str = ""


def kept(text: str) -> str:
    """Return as much of a reply as is worth keeping: parsed again, it gives the same."""
    return text[: LONGEST + 1].encode("utf-8", "replace").decode("utf-8")


def parse(text: str, *, asked: Sequence[AgentId], most: int) -> Parsed:
    """Understand a reply.

    The rules, where a reply is not plain: ids that were not asked about and ids named twice are left out; of too many
    the first ``most`` stay; an id may differ in case, quotes and white space, or be the agent's handle; ids win over
    "out of scope"; an id that stands only in the reason is taken where it is the only one there.

    Args:
        text: The reply.
        asked: The agents that were put to the model, in the order in which they stood there.
        most: How many may be named.

    >>> parse('{"reason": "Sums.", "agents": ["Solver"], "out_of_scope": false}', asked=["solver", "coder"], most=3)
    Parsed(named=('solver',), reason='Sums.', out_of_scope=False, repairs=("'Solver' was read as 'solver'",), fault='')
    >>> parse("I cannot help with that.", asked=["solver", "coder"], most=3).fault
    'it names no agent'
    """
    read = kept(text)
    repairs = ["half characters were replaced"] if read != text[: LONGEST + 1] else []
    if len(read) > LONGEST:
        read = read[:LONGEST]
        repairs.append(f"all after {LONGEST} characters was passed over")
    if not read.strip():
        return Parsed(repairs=tuple(repairs), fault="it is empty")
    names, said = _Names(asked), plainly_said(read)
    if said is None:
        rest = without_thoughts(read)
        repairs += ["what it thought aloud was passed over"] if rest != read else []
        said = said_in(rest) or _listed(rest, names)
    if said is None:
        said = Said(reason=rest, repairs=("it has none of the forms asked for",))
    return _understood(said, names, most=most, repairs=[*repairs, *said.repairs])


class _Names:
    """Knows the agents that were asked about by their ids, and by what models make of these."""

    def __init__(self, asked: Sequence[AgentId]) -> None:
        self.asked = tuple(asked)
        self._exact = frozenset(asked)
        self._folded: dict[str, AgentId | None] = {}
        for agent_id in asked:
            key = folded(agent_id)
            self._folded[key] = None if key in self._folded else agent_id  # None: two ids that only case tells apart
        self._handles = {folded(handle): agent_id for handle, agent_id in zip(handles(asked), asked, strict=True)}

    def find(self, text: str) -> AgentId | None:
        """Return the agent that a text names by itself."""
        if text in self._exact:
            return text
        for bare in (html.unescape(text), html.unescape(text).strip(_AROUND)):
            if bare in self._exact:
                return bare
            found = self._folded.get(folded(bare)) or self._handles.get(folded(bare))
            if found is not None:
                return found
        return None

    def mentioned(self, text: str) -> set[AgentId]:
        """Return the agents whose ids stand whole in a running text; one that is a word must stand in quotes."""
        ids = sorted(self.asked, key=len, reverse=True)
        if not ids:
            return set()
        pattern = "|".join(map(re.escape, ids))
        matches = re.finditer(rf"(?<![\w-])(?<!\w[.:/])(?:{pattern})(?![\w-]|[.:/]\w)", text)
        return {match.group() for match in matches if not _is_word(match.group()) or _is_quoted(match)}


def _is_word(agent_id: AgentId) -> bool:
    """Return whether an id could stand in a sentence without meaning the agent."""
    return agent_id.replace(" ", "").isalpha()


def _is_quoted(match: re.Match[str]) -> bool:
    text, start, end = match.string, match.start(), match.end()
    before, after = text[max(start - 1, 0) : start], text[end : end + 1]
    return before != "" and before in _QUOTES and after != "" and after in _QUOTES


def _listed(text: str, names: _Names) -> Said | None:
    """Read a reply that is nothing but ids, one a line."""
    lines = [_BULLET.sub("", line, count=1) for line in text.splitlines() if line.strip()]
    if lines and all(names.find(line) is not None for line in lines):
        return Said(items=tuple(lines), repairs=("only ids could be read",))
    return Said(out_of_scope=True, repairs=("only the scope could be read",)) if is_scope(text) else None


def _understood(said: Said, names: _Names, *, most: int, repairs: list[str]) -> Parsed:
    named, scope = _named(said, names, repairs)
    reason = one_line(said.reason, REASON)
    if not reason:
        repairs.append("it gives no reason")
    if not named and not scope and not said.items:
        named = _from_reason(said.reason, names, repairs)
    if len(named) > most:
        repairs.append(f"of {len(named)} agents the first {most} were kept")
    if named and scope:
        repairs.append("it says out of scope and names agents; the agents stand")
    if named and _disagrees(said.reason, named, names):
        repairs.append("the reason speaks of other agents than are named")
    fault = "" if named or scope else _fault(said)
    return Parsed(tuple(named[:most]), reason, scope and not named, tuple(repairs), fault)


def _named(said: Said, names: _Names, repairs: list[str]) -> tuple[list[AgentId], bool]:
    """Return the agents that the items name, each once, and whether the scope is denied."""
    found, unknown, read_as, scope = list[AgentId](), list[str](), list[str](), said.out_of_scope
    for text, agent_id in _resolved(said.items, names, repairs):
        if agent_id is None and is_scope(text):
            scope = True
            repairs.append("'out of scope' stood among the ids")
        elif agent_id is None:
            unknown.append(repr(text[:SHOWN_TEXT]))
        else:
            found.append(agent_id)
            if text != agent_id:
                read_as.append(f"{text[:SHOWN_TEXT]!r} was read as {agent_id!r}")
    once = list(dict.fromkeys(found))
    repairs.extend(_some(read_as))
    if unknown:
        repairs.append(f"unknown ids were left out: {', '.join(_some(unknown))}")
    if len(once) < len(found):
        repairs.append("ids named twice were left out")
    return once, scope


def _resolved(items: Iterable[str], names: _Names, repairs: list[str]) -> list[tuple[str, AgentId | None]]:
    """Return each item with the agent it names; one that names none is taken apart where it holds several ids."""
    resolved, taken_apart = list[tuple[str, AgentId | None]](), False
    for item in items:
        whole = names.find(item)
        parts = [_BULLET.sub("", part, count=1).strip() for part in _PARTS.split(item)] if whole is None else []
        several = [(part, names.find(part)) for part in parts if part]
        if any(agent_id is not None for _, agent_id in several):
            taken_apart = True
            resolved.extend(several)
        else:
            resolved.append((item, whole))
    if taken_apart:
        repairs.append("ids that stood in one text were taken apart")
    return resolved


def _from_reason(reason: str, names: _Names, repairs: list[str]) -> list[AgentId]:
    found = names.mentioned(reason)
    if len(found) != 1:
        return []
    repairs.append("the one id in its text was taken, since it names none apart from that")
    return list(found)


def _disagrees(reason: str, named: Sequence[AgentId], names: _Names) -> bool:
    spoken = names.mentioned(reason)
    return bool(spoken) and spoken.isdisjoint(named)


def _fault(said: Said) -> str:
    return "it names only agents that were not asked about" if said.items else "it names no agent"


def _some(texts: Sequence[str]) -> list[str]:
    """Return the first few texts, and how many more there are.

    >>> _some(["a", "b", "c", "d", "e"])
    ['a', 'b', 'c', 'and 2 more']
    """
    more = len(texts) - SHOWN
    return [*texts[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
