"""Gathers the texts that the shipped embedding table is distilled on, each from a source whose licence NOTICE names.

Four sources: definitions of WordNet (with their lemmas), usage examples of WordNet, questions of a recorded set's train
split, and requests made here by filling our own sentence frames with WordNet lemmas. Same seed, same texts.
"""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

PARTS = ("noun", "verb", "adj", "adv")
EXAMPLE = re.compile(r'"([^"]+)"')
MAX_WORDS = 40

NOUN_FRAMES = (
    "what is a {n}",
    "what is {n} and how does it work",
    "what does {n} mean",
    "tell me about {n}",
    "tell me more about the {n} of the {m}",
    "where can i find a {n}",
    "where is the nearest {n}",
    "how much does a {n} cost",
    "how many {n}s are there in a {m}",
    "how long does the {n} take",
    "how do i fix my {n}",
    "how do i get rid of the {n} on my {m}",
    "how can i choose a good {n} for my {m}",
    "when is the next {n}",
    "when did my {n} start",
    "who is responsible for the {n}",
    "who made the first {n}",
    "why is my {n} so {a}",
    "why do people need a {n}",
    "which {n} should i use with a {m}",
    "is the {n} still {a}",
    "is there a {n} near the {m}",
    "are {n}s {a}",
    "can you recommend a {a} {n}",
    "could you check my {n} please",
    "do i have any {n} left",
    "does my {m} come with a {n}",
    "i need a {a} {n} for tomorrow",
    "i want to know the {n} of my {m}",
    "i lost my {n} yesterday, what should i do",
    "i would like to hear something about {n}",
    "i have a problem with my {n}",
    "my {n} is too {a}",
    "put {n} on my list of {m}s",
    "show me my {n}",
    "show all the {n}s from last week",
    "give me the latest {n}",
    "remind me about the {n} at noon",
    "look up {n} for me",
    "explain the difference between {n} and {m}",
    "compare {n} with {m}",
    "name three examples of {n}",
    "the {n} and the {m}",
    "an expert on {n} and {m}",
    "answers questions about {n}, {m} and related subjects",
    "an agent that helps people with their {n}",
    "everything to do with {n}",
)
VERB_FRAMES = (
    "{v} the {n}",
    "please {v} my {n}",
    "please {v} the {a} {n} now",
    "can you {v} the {n} for me",
    "could you {v} this {n} to the {m}",
    "how do i {v} a {n}",
    "how do you {v} the {n} of a {m}",
    "how long does it take to {v} a {n}",
    "what happens if i {v} my {n}",
    "what do i need to {v} the {n}",
    "when should i {v} the {n}",
    "where can i {v} my {n}",
    "why would someone {v} a {n}",
    "who can {v} my {n}",
    "is it safe to {v} a {n}",
    "i want to {v} a {n}",
    "i need to {v} my {n} before friday",
    "i forgot to {v} the {n}",
    "i am trying to {v} the {n} with a {m}",
    "help me {v} the {n}",
    "do not {v} the {n}",
    "let's {v} the {n} tonight",
    "would you {v} if the {n} is {a}",
    "did you {v} the {n} already",
    "an assistant that can {v} any {n}",
)
CLAUSE_FRAMES = (
    "how do i {clause}",
    "can you {clause}",
    "i want to {clause}",
    "please {clause}",
    "what is the best way to {clause}",
    "help me {clause}",
    "when should one {clause}",
)
PHRASE_FRAMES = (
    "{n} {m}",
    "{v} {n}",
    "{a} {n}",
    "{v} {a} {n}",
    "{n} and {m}",
    "{n} of the {m}",
    "questions about {n} {m}",
    "requests to {v} {n}",
    "takes care of {n}: {v} {m}",
    "helps with {n} in matters of {m}",
    "{n} service for {m}",
    "{m}: {v} {n}",
)


@dataclass(frozen=True, slots=True)
class Synset:
    """One sense: its part of speech, its lemmas, its definition and its usage examples."""

    part: str
    lemmas: tuple[str, ...]
    definition: str
    examples: tuple[str, ...]


def read_synsets(folder: Path) -> Iterator[Synset]:
    """Yield every synset of a WordNet ``dict`` folder, in file order."""
    for part in PARTS:
        for line in (folder / f"data.{part}").read_text("latin-1").splitlines():
            if not line.startswith(" "):  # the licence at the top is indented
                yield _synset(part, line)


def _synset(part: str, line: str) -> Synset:
    head, _, gloss = line.partition(" | ")
    fields = head.split()
    words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
    lemmas = tuple(re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in words)
    definition = gloss.split('"')[0].strip().rstrip(";:").strip()
    return Synset(part, lemmas, definition, tuple(EXAMPLE.findall(gloss)))


def lemma_counts(folder: Path) -> dict[str, Counter[str]]:
    """Return how often each lemma was tagged in WordNet's corpora, by part of speech."""
    parts = {"1": "noun", "2": "verb", "3": "adj", "5": "adj", "4": "adv"}
    counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    for line in (folder / "cntlist.rev").read_text("latin-1").splitlines():
        key, _, count = line.split()
        lemma, _, rest = key.partition("%")
        counts[parts[rest[0]]][lemma.replace("_", " ")] += int(count)
    return counts


def read_questions(folder: Path) -> list[str]:
    """Return the texts of the train split of a recorded set, without the answer options below them."""
    with gzip.open(folder / "tasks.jsonl.gz", "rt", encoding="utf-8") as lines:
        tasks = [json.loads(line) for line in lines]
    return [_shortened(re.split(r"\n[A-Z]\. ", task["text"])[0]) for task in tasks if task["split"] == "train"]


def _shortened(text: str) -> str:
    return " ".join(text.split()[:MAX_WORDS])


class Frames:
    """Fills sentence frames with lemmas, common ones more often."""

    def __init__(self, counts: dict[str, Counter[str]], *, rng: Generator) -> None:
        self._rng = rng
        self._lemmas = {part: sorted(lemmas) for part, lemmas in counts.items()}
        self._shares = {part: self._share(counts[part]) for part in PARTS}

    def _share(self, counts: Counter[str]) -> np.ndarray:
        # the square root keeps frequent lemmas from crowding out the rest
        weights = np.sqrt([1.0 + counts[lemma] for lemma in sorted(counts)])
        return weights / weights.sum()

    def fill(self, frames: tuple[str, ...], number: int) -> list[str]:
        """Return ``number`` sentences."""
        nouns, others = self._draw("noun", number), self._draw("noun", number)
        verbs, adjectives = self._draw("verb", number), self._draw("adj", number)
        chosen = self._rng.integers(len(frames), size=number)
        return [
            frames[frame].format(n=n, m=m, v=v, a=a)
            for frame, n, m, v, a in zip(chosen, nouns, others, verbs, adjectives, strict=True)
        ]

    def _draw(self, part: str, number: int) -> list[str]:
        positions = self._rng.choice(len(self._lemmas[part]), size=number, p=self._shares[part])
        return [self._lemmas[part][position] for position in positions]


def clauses(synsets: list[Synset], *, rng: Generator) -> list[str]:
    """Turn short definitions of verbs into requests: "how do i" and the definition."""
    short = [s.definition for s in synsets if s.part == "verb" and 2 <= len(s.definition.split()) <= 9]
    chosen = rng.integers(len(CLAUSE_FRAMES), size=len(short))
    return [CLAUSE_FRAMES[frame].format(clause=text.split(";")[0]) for frame, text in zip(chosen, short, strict=True)]


def gather(wordnet: Path, questions: Path, *, frames: int, seed: int) -> dict[str, list[str]]:
    """Return all texts by source, repeated ones included.

    Args:
        wordnet: WordNet's ``dict`` folder (``data.noun`` and the rest).
        questions: a recorded set; its train split is read.
        frames: how many sentences to make from our own frames.
        seed: what the frames are drawn with.
    """
    rng = np.random.default_rng(seed)
    synsets = list(read_synsets(wordnet))
    filler = Frames(lemma_counts(wordnet), rng=rng)
    return {
        "definitions": [_shortened(f"{s.lemmas[0]}: {s.definition}") for s in synsets],
        "examples": [_shortened(example) for s in synsets for example in s.examples],
        "questions": read_questions(questions),
        "nouns": filler.fill(NOUN_FRAMES, frames // 2),
        "verbs": filler.fill(VERB_FRAMES, frames - frames // 2),
        "clauses": clauses(synsets, rng=rng),
        "phrases": filler.fill(PHRASE_FRAMES, frames // 3),
    }
