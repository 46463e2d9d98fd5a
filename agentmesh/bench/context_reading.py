"""An agent without a model: it answers from the statements that stand in its context, and says nothing otherwise."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from agentmesh.bench.context_words import facts_in
from agentmesh.bench.context_world import ContextCase
from agentmesh.protocols import Embedder
from agentmesh.records import ContextItem

_QUOTED: Final = re.compile(r"“([^”]*)”")


class Reader:
    """Follows the statements of one context from what a task names to what it asks for.

    Of several versions of a text it reads the newest. A request that was not filed goes to the desk whose entry has the
    text that is most like it, so it may be wrong, with the whole context too.
    """

    def __init__(self, items: Sequence[ContextItem], embedder: Embedder) -> None:
        """Read ``items``."""
        newest = {item.key: item for item in sorted(items, key=lambda item: item.version)}
        self._items = sorted(newest.values(), key=lambda item: item.number)
        self._embedder = embedder
        self._filed = self._table("filed", "ticket", "topic")
        self._desk = self._table("takes", "topic", "desk")
        self._person = self._table("runs", "desk", "person")
        self._number = self._table("phone", "person", "number")
        self._wrote = {fact["customer"]: fact for fact in self._facts("wrote")}  # the latest of each

    def customers(self, text: str) -> list[str]:
        """Return the customers that a text names and that have written."""
        return [name for name in self._wrote if name in text]

    def desk(self, customer: str, *, guess: bool = False) -> str | None:
        """Return where a customer's latest request goes."""
        wrote = self._wrote[customer]
        topic = self.topic_like(wrote["request"]) if guess else self._filed.get(wrote["ticket"])
        return None if topic is None else self._desk.get(topic)

    def person(self, desk: str | None) -> str | None:
        """Return who runs a desk."""
        return None if desk is None else self._person.get(desk)

    def phone(self, desk: str | None) -> str | None:
        """Return the number of who runs a desk."""
        person = self.person(desk)
        return None if person is None else self._number.get(person)

    def at_hand(self) -> str | None:
        """Return who runs the desk of the case that a stage right before named."""
        cases = [fact["ticket"] for item in self._items if item.pinned for fact in facts_in("case", item.text)]
        topic = self._filed.get(cases[-1]) if cases else None
        return None if topic is None else self.person(self._desk.get(topic))

    def about(self, text: str) -> str | None:
        """Return who runs the desk for requests like the one that a text quotes."""
        topic = self.topic_like(_QUOTED.findall(text)[0])
        return None if topic is None else self.person(self._desk.get(topic))

    def waiting(self, text: str) -> str | None:
        """Return the customers whose requests go to the desk of the person that a text names."""
        desks = {desk for desk, person in self._person.items() if person in text}
        waiting = [name for name in self._wrote if self.desk(name) in desks]
        return ", ".join(sorted(waiting)) or None

    def _facts(self, kind: str) -> Iterator[Mapping[str, str]]:
        for item in self._items:
            yield from facts_in(kind, item.text)

    def _table(self, kind: str, key: str, value: str) -> dict[str, str]:
        return {fact[key]: fact[value] for fact in self._facts(kind)}

    def topic_like(self, request: str) -> str | None:
        """Return the topic of the entry that quotes what is most like a request."""
        quoted = [
            (fact["topic"], said)
            for item in self._items
            for fact in facts_in("takes", item.text)
            for said in _QUOTED.findall(item.text)
        ]
        if not quoted:
            return None
        vectors = self._embedder.embed([request, *(said for _, said in quoted)])
        return quoted[int((vectors[1:] @ vectors[0]).argmax())][0]


def answer(case: ContextCase, items: Sequence[ContextItem], embedder: Embedder) -> str | None:
    """Return what the reader answers to a case from these items, ``None`` where a statement is missing."""
    reader = Reader(items, embedder)
    if case.kind == "at_hand":
        return reader.at_hand()
    if case.kind == "about":
        return reader.about(case.task.text)
    if case.kind == "waiting":
        return reader.waiting(case.task.text)
    desks = [reader.desk(name, guess=case.kind == "said") for name in reader.customers(case.task.text)]
    if case.kind == "same":
        return None if len(desks) < 2 or None in desks else "yes" if len(set(desks)) == 1 else "no"
    if not desks:
        return None
    asked = {"person": reader.person, "phone": reader.phone}.get(case.card.id)
    return desks[0] if asked is None else asked(desks[0])
