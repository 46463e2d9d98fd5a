"""What a run or a workflow has found so far: texts by key, in versions, with a rule for those written at once."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from agentmesh.errors import ConfigError
from agentmesh.frozen import Record
from agentmesh.records import ContextItem
from agentmesh.types import AgentId

ConflictRule: TypeAlias = Callable[[Sequence[ContextItem]], str]
"""Takes what was written at once, earliest stage first, and returns the text that holds."""


def last(contenders: Sequence[ContextItem]) -> str:
    """Return the text of the latest stage; within one stage, that of the agent whose id sorts last."""
    return contenders[-1].text


def first(contenders: Sequence[ContextItem]) -> str:
    """Return the text of the earliest stage; within one stage, that of the agent whose id sorts first."""
    return contenders[0].text


def both(contenders: Sequence[ContextItem]) -> str:
    """Return all texts, each once, with an empty line between them."""
    return "\n\n".join(dict.fromkeys(item.text for item in contenders))


RULES: Final[Mapping[str, ConflictRule]] = MappingProxyType({"last": last, "first": first, "both": both})


class MemoryConflict(Record):
    """Several writers changed one key, none knowing of the other's text: what holds now, and what does not.

    ``dropped`` stay in the history as older versions. ``rule`` is the name of the rule that chose.
    """

    kept: ContextItem
    dropped: tuple[ContextItem, ...]
    rule: str


@dataclass(frozen=True, slots=True)
class _Written:
    """One version. ``by_rule`` says that a conflict rule made it of others."""

    item: ContextItem
    by_rule: bool = False


class RunMemory:
    """Holds texts by key. Each write makes a new version; nothing that was written is lost.

    Who writes may say which version he has ``seen``. If others have written since, none of them knew of the other, and
    the rule says which text holds: it becomes the newest version, and the others stay as older ones. What holds does
    not hang on who was quicker.

    The same writes in the same order give the same memory, so that one is rebuilt from the events of a run.

    Args:
        conflict: ``"last"`` (the text of the latest stage, then of the agent whose id sorts last), ``"first"``,
            ``"both"`` (all texts, joined), or a callable that takes what was written at once and returns what holds.
        stages: The stages in order; those that are not named come after them, by name.

    Raises:
        ConfigError: no rule has that name.

    >>> memory = RunMemory(stages=["research", "review"])
    >>> _ = memory.write("founder", "Ada", stage="review", seen=0)
    >>> memory.write("founder", "Bob", stage="research", seen=0).text
    'Ada'
    >>> [(item.version, item.text) for item in memory.history("founder")]
    [(1, 'Ada'), (2, 'Bob'), (3, 'Ada')]
    """

    def __init__(self, *, conflict: str | ConflictRule = "last", stages: Sequence[str] = ()) -> None:
        if isinstance(conflict, str) and conflict not in RULES:
            raise ConfigError(f"no conflict rule is called {conflict!r}; there are {', '.join(sorted(RULES))}")
        self._rule = RULES[conflict] if isinstance(conflict, str) else conflict
        self._rule_name = conflict if isinstance(conflict, str) else getattr(conflict, "__name__", repr(conflict))
        self._places = {stage: place for place, stage in enumerate(stages)}
        self._written: dict[str, list[_Written]] = {}
        self._number = 0
        self._conflicts: list[MemoryConflict] = []

    @property
    def conflicts(self) -> tuple[MemoryConflict, ...]:
        """Return every conflict there was, in order."""
        return tuple(self._conflicts)

    def write(
        self, key: str, text: str, *, stage: str = "", agent_id: AgentId | None = None, seen: int | None = None
    ) -> ContextItem:
        """Write a text and return what holds for its key now.

        Args:
            key: What the text is about.
            text: What is to be remembered.
            stage: The stage that writes.
            agent_id: The agent that writes.
            seen: The version of the key that the writer knew, 0 for none; by default the newest.

        Raises:
            ConfigError: the key is empty, or there is no such version yet.
        """
        known = self._written.get(key, [])
        if not key:
            raise ConfigError("the key of an item of memory is ''; give it a name")
        if seen is not None and not 0 <= seen <= len(known):
            raise ConfigError(f"version {seen!r} of {key!r} cannot have been seen; the newest is {len(known)}")
        at_once = [one.item for one in known[len(known) if seen is None else seen :] if not one.by_rule]
        item = self._add(ContextItem(key=key, text=text, stage=stage, agent_id=agent_id))
        return self._settled([*at_once, item]) if at_once else item

    def items(self, *, after: Collection[str] = ()) -> tuple[ContextItem, ...]:
        """Return the newest version of each key, in the order in which these were written.

        Args:
            after: Stages that the reader comes right after; what they wrote is pinned.
        """
        newest = sorted((written[-1].item for written in self._written.values()), key=lambda item: item.number)
        return tuple(item.model_copy(update={"pinned": True}) if item.stage in after else item for item in newest)

    def history(self, key: str) -> tuple[ContextItem, ...]:
        """Return all versions of a key, oldest first."""
        return tuple(one.item for one in self._written.get(key, ()))

    def _add(self, item: ContextItem, *, by_rule: bool = False) -> ContextItem:
        """Keep an item as the next version of its key."""
        self._number += 1
        versions = self._written.setdefault(item.key, [])
        kept = item.model_copy(update={"version": len(versions) + 1, "number": self._number})
        versions.append(_Written(kept, by_rule))
        return kept

    def _settled(self, at_once: Iterable[ContextItem]) -> ContextItem:
        """Let the rule choose among items of one key that were written at once, and return what holds."""
        contenders = sorted(at_once, key=self._order)
        text = self._rule(contenders)
        kept = next((item for item in reversed(contenders) if item.text == text), None)
        dropped = tuple(item for item in contenders if item.text != text)
        newest = self._written[contenders[0].key][-1].item
        if kept is None:
            kept = contenders[-1].model_copy(update={"text": text, "agent_id": None})
        if kept != newest:
            kept = self._add(kept, by_rule=True)
        if dropped:
            self._conflicts.append(MemoryConflict(kept=kept, dropped=dropped, rule=self._rule_name))
        return kept

    def _order(self, item: ContextItem) -> tuple[int, str, AgentId, str]:
        return (self._places.get(item.stage, len(self._places)), item.stage, item.agent_id or "", item.text)
