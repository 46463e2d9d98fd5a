"""Makes tasks whose answer needs facts that stand far apart in a context: a service office, told in documents.

Customers write requests (texts of a recorded set of labels), requests become tickets, tickets are filed under a topic
(an agent's name), topics go to desks, desks are run by people, people have numbers. A question names the start of such
a chain and wants its end; what stands between is like neither. Beside it lie the notes of other customers, topics that
are alike, older versions, and idle talk that names the same people, tickets and desks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from agentmesh.bench.context_words import WORDS, Words, WorldSplit
from agentmesh.errors import RecordedSetError
from agentmesh.graphs.memory import RunMemory
from agentmesh.recorded.reader import RecordedSet, Rows
from agentmesh.records import AgentCard, ContextItem, Task
from agentmesh.types import Rng

CUSTOMERS: Final = 24
TOPICS: Final = 30
DESKS: Final = 10
TALK: Final = 24
EXAMPLES: Final = 3
LINES: Final = 6
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "said": ("wrote", "takes"),
    "desk": ("wrote", "filed", "takes"),
    "person": ("wrote", "filed", "takes", "runs"),
    "phone": ("wrote", "filed", "takes", "runs", "phone"),
    "waiting": ("runs", "takes", "filed", "wrote"),
    "same": ("wrote", "filed", "takes"),
    "latest": ("wrote", "filed", "takes"),
    "at_hand": ("case", "filed", "takes", "runs"),
    "step_desk": ("wrote", "filed", "takes"),
    "step_phone": ("wrote", "filed", "takes", "runs", "phone"),
    "about": ("takes", "runs"),
}
KINDS: Final = tuple(NEEDED)
ROLE_OF: Final[Mapping[str, str]] = {
    **{kind: kind for kind in ("desk", "person", "phone", "waiting", "same")},
    "said": "desk",
    "latest": "desk",
    "at_hand": "person",
    "step_desk": "desk",
    "step_phone": "phone",
    "about": "person",
}
ROLES: Final = {
    "desk": "Says which desk a customer's request belongs to.",
    "person": "Says which colleague is in charge of a customer's request.",
    "phone": "Looks up the phone number, the extension or line, of the colleague in charge of a customer's request.",
    "waiting": "Says which customer a colleague has to help.",
    "same": "Says whether two customers' requests belong to one desk.",
}


class Document(NamedTuple):
    """A text that somebody wrote into the memory, with the versions before it."""

    key: str
    stage: str
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextCase:
    """A task with its context, who is asked, the statements that its answer stands on, and the answer."""

    id: str
    kind: str
    task: Task
    card: AgentCard
    support: tuple[str, ...]
    answer: str


def make_cases(recorded: RecordedSet, rows: Rows, split: WorldSplit, *, each: int, seed: int) -> list[ContextCase]:
    """Return ``each`` cases of every kind, each in an office of its own, on the texts of ``rows``.

    Raises:
        RecordedSetError: the set has fewer topics with texts than an office needs.
    """
    texts: dict[str, list[str]] = {}
    for row, labels in zip(rows.tasks, rows.labels, strict=True):
        if labels:
            texts.setdefault(labels[0], []).append(row.text)
    if len(texts) < TOPICS:
        raise RecordedSetError(f"{recorded.info.name!r} has texts for {len(texts)} agents; {TOPICS} are needed")
    topics = [Topic(card, texts[card.id]) for card in recorded.agents if card.id in texts]
    made = []
    for number, kind in product(range(each), KINDS):
        office = Office(WORDS[split], topics, kind, np.random.default_rng([seed, number, KINDS.index(kind)]))
        made.append(office.case(f"{recorded.info.name}-{split}-{kind}-{number}"))
    return made


class Topic(NamedTuple):
    """An agent's card, from which the handbook is written, and requests that are for this agent."""

    card: AgentCard
    requests: Sequence[str]

    @property
    def name(self) -> str:
        """Return what the topic is called."""
        return self.card.id.partition(":")[2].replace("_", " ") or self.card.id.replace("_", " ")


class Office:
    """One office: who wrote what, where it goes, and the documents that say so. Customer 0 is the one asked about."""

    def __init__(self, words: Words, topics: Sequence[Topic], kind: str, rng: Rng) -> None:
        """Draw an office."""
        self._words, self._kind, self._rng = words, kind, rng
        self._topics: list[Topic] = [topics[place] for place in rng.choice(len(topics), TOPICS, replace=False)]
        self._desks: list[str] = [words.desks[place] for place in rng.permutation(DESKS)]
        own = [topic for topic in range(TOPICS) if topic % DESKS == 0]  # the desk of topic 0 has one customer
        rest = [topic for topic in rng.permutation(TOPICS).tolist() if topic not in own]
        self._wanted: list[int] = [0, *rest[: CUSTOMERS - 1]]
        names = [f"{given} {family}" for given, family in product(words.given, words.family)]
        drawn = [names[place] for place in rng.permutation(len(names))]
        self._customers, self._people = drawn[:CUSTOMERS], drawn[CUSTOMERS : CUSTOMERS + 2 * DESKS]
        self._tickets = [f"T-{number}" for number in rng.choice(9000, CUSTOMERS + 1, replace=False) + 1000]
        self._numbers: list[str] = [str(number) for number in rng.choice(900, 2 * DESKS, replace=False) + 4100]
        self._support: list[str] = []
        self._memory = RunMemory()

    def case(self, name: str) -> ContextCase:
        """Tell the office in documents, and ask about its first customer."""
        asked = {"said": "desk", "step_desk": "step", "step_phone": "step"}.get(self._kind, self._kind)
        question = self._drawn(self._words.questions[asked])
        request = self._drawn(self._topics[self._wanted[0]].requests)
        told = {
            "request": request,
            "customer": self._customers[0],
            "other": self._customers[1],
            "person": self._people[0],
        }
        context = self._told()
        return ContextCase(
            id=name,
            kind=self._kind,
            task=Task(text=question.format(**told), context=context),
            card=AgentCard(id=ROLE_OF[self._kind], description=ROLES[ROLE_OF[self._kind]]),
            support=tuple(self._support),
            answer=self._answer(),
        )

    def _answer(self) -> str:
        """Return what the documents say about the first customer; topic 0 goes to the first desk."""
        desks: list[str] = [self._desks[self._wanted[number] % DESKS] for number in range(3)]
        if self._kind == "same":
            return "yes" if desks[0] == desks[1] else "no"
        if self._kind == "latest":
            return desks[2]
        answers: dict[str, str] = {"person": self._people[0], "phone": self._numbers[0], "waiting": self._customers[0]}
        return answers.get(ROLE_OF[self._kind], desks[0])

    def _told(self) -> tuple[ContextItem, ...]:
        """Write all documents, older versions first, and return every version in an order drawn."""
        documents = [*self._notes(), *self._handbook(), *self._staff(), *self._talk()]
        for place in self._rng.permutation(len(documents)).tolist():
            self._write(documents[place])
        for document in self._later():
            self._write(document)
        newest = self._memory.items(after=("intake",))
        older = [item for one in newest for item in self._memory.history(one.key)[:-1]]
        items = [*newest, *older]
        return tuple(items[place] for place in self._rng.permutation(len(items)).tolist())

    def _write(self, document: Document) -> None:
        for version in document.versions:
            self._memory.write(document.key, version, stage=document.stage, agent_id=document.stage)

    def _notes(self) -> Iterator[Document]:
        """Yield a note for each customer, and the lists in which their tickets are filed."""
        lines = []
        for number, (customer, topic) in enumerate(zip(self._customers, self._wanted, strict=True)):
            yield self._note(number, customer, topic, is_support=number in self._asked_about("wrote"))
            if number or self._kind != "said":
                is_support = number in self._asked_about("filed")
                lines.append(
                    self._fact("filed", is_support, ticket=self._tickets[number], topic=self._topics[topic].name)
                )
        order = self._rng.permutation(len(lines)).tolist()
        for page in range(0, len(order), LINES):
            text = "\n".join(lines[place] for place in order[page : page + LINES])
            yield Document(f"log-{page // LINES + 1}", "triage", (text,))

    def _note(self, number: int, customer: str, topic: int, *, is_support: bool) -> Document:
        request = self._drawn(self._topics[topic].requests)
        fact = self._fact("wrote", is_support, customer=customer, ticket=self._tickets[number], request=request)
        return Document(f"note-{number + 1}", "inbox", (" ".join(self._shuffled(fact, self._idle())),))

    def _handbook(self) -> Iterator[Document]:
        """Yield an entry for each topic: what it is, how people put it, and which desk takes it."""
        wanted = [self._wanted[number] for number in self._asked_about("takes")]
        for place, topic in enumerate(self._topics):
            desk = self._desks[place % DESKS]
            fact = self._fact("takes", place in wanted, topic=topic.name, desk=desk)
            said = "; ".join(f"“{example}”" for example in topic.card.examples[:EXAMPLES])
            parts = self._shuffled(topic.card.description, fact, f"People say {said}.")
            yield Document(f"handbook-{place + 1}", "handbook", (" ".join(parts),))

    def _staff(self) -> Iterator[Document]:
        """Yield who runs each desk, some of them told anew, and the lists of numbers."""
        for place, desk in enumerate(self._desks):
            now = self._fact(
                "runs", place == 0 and bool(self._asked_about("runs")), desk=desk, person=self._people[place]
            )
            before = self._put("runs", desk=desk, person=self._people[DESKS + place])
            texts = [" ".join(self._shuffled(text, self._idle())) for text in (before, now)]
            yield Document(f"staff-{desk.lower()}", "staff", tuple(texts if place % 3 == 0 else texts[1:]))
        lines = [
            self._fact("phone", place == 0 and bool(self._asked_about("phone")), person=person, number=number)
            for place, (person, number) in enumerate(zip(self._people, self._numbers, strict=True))
        ]
        order = self._rng.permutation(len(lines)).tolist()
        for page in range(2):
            yield Document(f"numbers-{page + 1}", "directory", ("\n".join(lines[place] for place in order[page::2]),))

    def _talk(self) -> Iterator[Document]:
        for number in range(TALK):
            yield Document(f"talk-{number + 1}", "talk", (" ".join(self._idle() for _ in range(1 + number % 3)),))
        for number in range(2):
            other = self._put("case", ticket=self._tickets[3 + number])
            yield Document(f"case-of-{number + 1}-days-ago", "archive", (other,))

    def _later(self) -> Iterator[Document]:
        """Yield what comes last: what the first customer wrote later, and which case is at hand."""
        if self._kind == "latest":
            topic = self._wanted[2]
            self._wanted.append(topic)
            yield self._note(CUSTOMERS, self._customers[0], topic, is_support=True)
            filed = self._fact("filed", True, ticket=self._tickets[CUSTOMERS], topic=self._topics[topic].name)
            yield Document("log-late", "triage", (filed,))
        number = 0 if self._kind == "at_hand" else 5
        fact = self._fact("case", self._kind == "at_hand", ticket=self._tickets[number])
        yield Document("case", "intake", (" ".join(self._shuffled(fact, self._idle(), self._idle())),))

    def _asked_about(self, fact: str) -> tuple[int, ...]:
        """Return the customers of whom this fact is needed."""
        if fact not in NEEDED[self._kind]:
            return ()
        return {"same": (0, 1), "latest": (2,) if fact == "takes" else ()}.get(self._kind, (0,))

    def _fact(self, kind: str, is_support: bool, **values: str) -> str:
        """Put a fact into words, and keep note of it if the answer stands on it."""
        text = self._put(kind, **values)
        if is_support:
            self._support.append(text)
        return text

    def _put(self, kind: str, **values: str) -> str:
        return self._drawn(self._words.facts[kind]).format(**values)

    def _idle(self) -> str:
        topic = self._topics[int(self._rng.integers(TOPICS))]
        return self._drawn(self._words.talk).format(
            customer=self._drawn(self._customers),
            person=self._drawn(self._people),
            desk=self._drawn(self._desks),
            ticket=self._drawn(self._tickets[:CUSTOMERS]),
            request=self._drawn(topic.requests),
        )

    def _drawn(self, among: Sequence[str]) -> str:
        return among[int(self._rng.integers(len(among)))]

    def _shuffled(self, *parts: str) -> list[str]:
        return [parts[place] for place in self._rng.permutation(len(parts)).tolist()]
