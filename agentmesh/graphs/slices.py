"""Cuts a slice of a context: what of it one agent gets for its task, within a budget of tokens, and why.

Reference: RCR-Router (role-aware context routing for multi-agent systems, 2025) scores what a team remembers by role,
stage and recency, and fills a budget greedily. Here the best passages also raise those that they lead to and those that
are like them, since what answers a question is often not like it. The order is that of score by token (Dantzig,
Discrete-variable extremum problems, 1957).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from agentmesh.graphs.feedback import likeness_to_best
from agentmesh.graphs.material import Material
from agentmesh.graphs.overlap import Overlap, terms_of
from agentmesh.graphs.passages import Span, joined
from agentmesh.records import ContextItem, SlicedItem
from agentmesh.types import FloatArray, VectorArray

REASONS: Final[Mapping[str, str]] = {
    "role": "about what the agent does",
    "stage": "from a stage right before",
    "recency": "written late",
    "similarity": "like the task",
    "overlap": "has words of the task",
    "feedback": "like the best passages",
}
ROOM: Final = 3
"""Feedback weighs as much as the share of all passages that fits, to this power: it finds what the walk does not, and
would take the place of what the walk finds where room is short. Chosen on val of ``benchmarks/context.py``."""
_LETTERS: Final = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class SliceWeights:
    """What each reason to take a passage weighs, 0 and up; the reasons themselves are numbers from 0 to 1.

    Attributes:
        role: It is about what the agent's card says.
        stage: Its item is pinned: a stage right before wrote it.
        recency: Its item was written late.
        similarity: It is like the task, by the cosine of their vectors.
        overlap: It has the words of the task, each worth as much as it is rare.
        hop: A walk that starts where the reasons above are strong comes by, over what passages name.
        feedback: It is like the best passages of other items; by this weight where nearly everything fits, by less
            where room is short.
        restart: How likely the walk starts again at each step, 0 to 1.
        focus: The power of those reasons where the walk and the feedback start: the higher, the closer to the best.
    """

    role: float = 0.4
    stage: float = 0.2
    recency: float = 0.05
    similarity: float = 0.5
    overlap: float = 2.0
    hop: float = 4.0
    feedback: float = 6.0
    restart: float = 0.15
    focus: float = 4.0


WEIGHTS: Final = SliceWeights()
"""Chosen on val of the set that ``benchmarks/context.py`` makes."""


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What a slice is for: the task and the agent's card, as texts and as vectors beside those of the passages.

    Shapes:
        vectors: (n, d). task_vector, card_vector: (d,). ``None`` where nothing is compared.
    """

    task: str
    card: str
    vectors: VectorArray | None = None
    task_vector: VectorArray | None = None
    card_vector: VectorArray | None = None

    def likeness(self, vector: VectorArray | None, *, n: int) -> FloatArray:
        """Return how like a vector each passage is, (n,), 0 to 1."""
        if self.vectors is None or vector is None:
            return np.zeros(n)
        likeness: FloatArray = np.maximum((self.vectors @ vector).astype(np.float64), 0.0)
        return likeness


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a context, in the order in which it was written, and what became of every item."""

    items: tuple[ContextItem, ...]
    told: tuple[SlicedItem, ...]
    tokens: int
    full_tokens: int


def cut(material: Material, query: Query, budget: int, *, weights: SliceWeights = WEIGHTS) -> Slice:
    """Take the passages of the highest score by token that fit into ``budget`` tokens, one after the other.

    The score is the sum of the weighted reasons of :class:`SliceWeights`. A passage that says what one before it said,
    letter by letter, is left out. What fits as a whole is taken as a whole.
    """
    scores = Scores.of(material, query, weights, share=min(budget / (int(material.costs.sum()) or 1), 1.0))
    taking = _Taking(material, scores)
    taking.fill(int(material.costs.sum()) if material.fits(budget) else budget)
    while taking.tokens() > budget:  # a tokenizer may count two passages together as more than each by itself
        taking.places.pop()
    return Slice(taking.items(), tuple(taking.told(budget)), taking.tokens(), material.full_tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What speaks for each passage.

    Shapes:
        totals: (n,). near, visits: (n,), 0 to 1: the reasons together, and how often the walk comes by. feedback: (n,),
        weighted. reasons: (n,) each, weighted. roads: those of the overlap, for this task.
    """

    totals: FloatArray
    near: FloatArray
    visits: FloatArray
    feedback: FloatArray
    reasons: Mapping[str, FloatArray]
    overlap: Overlap
    roads: FloatArray

    @classmethod
    def of(cls, material: Material, query: Query, weights: SliceWeights, *, share: float) -> "Scores":
        """Score the passages of a context of which about this ``share`` fits, 0 to 1."""
        n, known = len(material.texts), frozenset(terms_of(query.task))
        latest = max((item.number for item in material.items), default=0) or 1
        recency = np.array([item.number / latest for item in material.items])
        pinned = np.array([float(item.pinned) for item in material.items])
        about = query.likeness(query.card_vector, n=n) + material.overlap.shares(terms_of(query.card))
        reasons = {
            "role": weights.role * about / 2,
            "stage": weights.stage * pinned[material.owner],
            "recency": weights.recency * recency[material.owner],
            "similarity": weights.similarity * query.likeness(query.task_vector, n=n),
            "overlap": weights.overlap * material.overlap.shares(known),
        }
        near: FloatArray = np.sum(list(reasons.values()), axis=0)
        near = near / (near.max(initial=0.0) or 1.0)
        start, roads = near**weights.focus, material.overlap.roads(known=known)
        visits = material.overlap.walk(start, roads, restart=weights.restart)
        feedback = np.zeros(n)
        if n and query.vectors is not None:
            feedback = weights.feedback * share**ROOM * likeness_to_best(query.vectors, material.owner, start)
        totals = near + weights.hop * visits + feedback
        return cls(totals, near, visits, feedback, reasons, material.overlap, roads)

    def why(self, place: int) -> tuple[str, int | None]:
        """Return what speaks for a passage most, and which other passage leads to it if that is it."""
        if self.feedback[place] > self.totals[place] / 2:
            return REASONS["feedback"], None
        name = max(self.reasons, key=lambda name: float(self.reasons[name][place]))
        if self.visits[place] > self.near[place]:
            strengths = self.visits * self.overlap.strengths(place, self.roads)
            if strengths.any():
                return "", int(strengths.argmax())
        return REASONS[name], None


@dataclass(slots=True, eq=False)
class _Taking:
    """The passages that are taken, in the order in which they were."""

    material: Material
    scores: Scores
    places: list[int] = field(default_factory=list)
    repeats: dict[int, int] = field(default_factory=dict)  # a passage, and the one that it repeats

    def fill(self, budget: int) -> None:
        """Take the best passages by token that fit into ``budget``; of equal ones the first, by key and place.

        Each is charged with a mark beside it, which many turn out not to have, so what is left is filled again.
        """
        order = np.argsort(-self.scores.totals / np.maximum(self.material.costs, 1), kind="stable").tolist()
        said: dict[str, int] = {}
        left = budget
        while self._take(order, left, said):
            left = budget - self.tokens()

    def _take(self, order: Sequence[int], left: int, said: dict[str, int]) -> bool:
        """Take what fits of ``order``; return whether anything did. ``said`` has who said first what was said."""
        taken, before = frozenset(self.places), len(self.places)
        for place in order:
            cost = int(self.material.costs[place])
            if cost <= left and place not in taken:
                words = _LETTERS.sub(" ", self.material.texts[place].casefold()).strip()
                earlier = said.setdefault(words, place)
                if earlier == place:
                    self.places.append(place)
                    left -= cost
                else:
                    self.repeats[place] = earlier
        return len(self.places) > before

    def items(self) -> tuple[ContextItem, ...]:
        """Return what is taken, item by item, in the order in which the items were written."""
        spans: dict[int, list[Span]] = defaultdict(list)
        for place in sorted(self.places):
            spans[int(self.material.owner[place])].append(self.material.spans[place])
        made = [_part(self.material.items[owner], taken) for owner, taken in spans.items()]
        return tuple(sorted(made, key=lambda item: (item.number, item.key)))

    def tokens(self) -> int:
        """Return the tokens of what is taken."""
        return sum(self.material.count(item.text) for item in self.items())

    def told(self, budget: int) -> Iterator[SlicedItem]:
        """Yield what became of every item, in order of the keys, older versions last."""
        material, kept = self.material, {item.key: item for item in self.items()}
        places: dict[int, list[int]] = defaultdict(list)
        for place, owner in enumerate(material.owner.tolist()):
            places[owner].append(place)
        taken = frozenset(self.places)
        for number, item in enumerate(material.items):
            best = max(places[number], key=lambda place: (place in taken, float(self.scores.totals[place])))
            is_kept = item.key in kept
            yield SlicedItem(
                key=item.key,
                version=item.version,
                tokens=material.count(kept[item.key].text) if is_kept else material.tokens[number],
                score=round(float(self.scores.totals[best]), 6),
                kept=is_kept,
                why="everything fits" if is_kept and material.fits(budget) else self._why(places[number], best, taken),
            )
        newest = {item.key: item.version for item in material.items}
        for item in material.older:
            tokens, why = material.count(item.text), f"version {newest[item.key]} holds"
            yield SlicedItem(key=item.key, version=item.version, tokens=tokens, score=0.0, kept=False, why=why)

    def _why(self, places: Sequence[int], best: int, taken: Collection[int]) -> str:
        """Return why an item is in the slice, or is not, by the best of its passages."""
        if best in self.repeats:
            return f"says the same as {self._key(self.repeats[best])!r}"
        parts = sum(place in taken for place in places)
        if not parts:
            return "no room left"
        reason, leader = self.scores.why(best)
        reason = reason if leader is None else f"shares words with {self._key(leader)!r}"
        return reason if parts == len(places) else f"{parts} of {len(places)} passages; {reason}"

    def _key(self, place: int) -> str:
        return self.material.items[int(self.material.owner[place])].key


def _part(item: ContextItem, spans: Sequence[Span]) -> ContextItem:
    text = joined(item.text, spans)
    return item if text == item.text else item.model_copy(update={"text": text.strip()})
