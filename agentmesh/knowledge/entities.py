"""What a task names: people, places, numbers, dates, code and quoted words, found by rules in linear time."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from agentmesh.knowledge.names import name_spans
from agentmesh.knowledge.words import read_part

EntityKind: TypeAlias = Literal["name", "number", "date", "unit", "code", "quoted", "term"]
Span: TypeAlias = tuple[int, int, EntityKind]

MOST_ENTITIES: Final = 32
MOST_CHARACTERS: Final = 80
"""What is longer is no entity: a word of a megabyte, a number of a thousand digits."""


@dataclass(frozen=True, slots=True)
class Entity:
    """Something that a text names.

    Attributes:
        surface: As it stands in the text.
        key: Normalised, so that spellings of one thing meet: Unicode form NFKC, case folded, single spaces.
        kind: What it looks like.
        start: Where it stands first, in characters.
        count: How often it stands there.
    """

    surface: str
    key: str
    kind: EntityKind
    start: int = 0
    count: int = 1


class EntityExtractor(Protocol):
    """Finds what a text names. A model such as spaCy's fits behind it: ``start`` is its ``start_char``.

    It must not raise on any text, must find the same in the same text, and gives each key once. A graph is continued
    only with an extractor of the same ``version``.
    """

    @property
    def version(self) -> str:
        """Return a name that changes whenever the same text may give other entities."""
        ...

    def extract(self, text: str) -> tuple[Entity, ...]:
        """Return the entities of ``text`` in the order in which they first stand there."""
        ...


_NUMBER: Final = r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,6}(?![0-9])|[0-9]+)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_MONTH: Final = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?"
)
_DAY: Final = r"[0-9]{1,2}(?:st|nd|rd|th)?"
_UNIT: Final = (
    r"(?:%|‰|°[CF]?|(?:km/h|m/s|[kcmµn]?m[²³]?|[kmµ]?g|[mµn]?s|[kMGT]i?B|[kMG]?Hz|[kMG]?Wh?|[km]?V|[mk]?J|[km]?l|m?L|kcal|mol|N|Pa"
    r"|A|h|hrs?|min|mph|lbs?|oz|ft|hours?|minutes?|seconds?|days?|weeks?|months?|years?|(?:kilo|centi|milli)?"
    r"met(?:er|re)s?|miles?|feet|inch(?:es)?|(?:kilo|milli)?grams?|pounds?|tons?|tonnes?|lit(?:er|re)s?|degrees?"
    r"|dollars?|euros?|cents?|percent|USD|EUR)(?!\w))"
)
_AMOUNT: Final = rf"[$€£¥][ ]?{_NUMBER}(?:[ ]?(?:k|m|bn|thousand|million|billion)(?!\w))?"

# Each alternative starts only where no word is under way, and repeats within bounds or over one class of characters, so
# that no input makes it look at a character more than a few times.
_SPECIAL: Final = re.compile(
    rf"""
    `(?P<code>[^`\n]{{1,{MOST_CHARACTERS}}})`
    | "(?P<quoted>[^"\n]{{2,{MOST_CHARACTERS}}})" | “(?P<curly>[^”\n]{{2,{MOST_CHARACTERS}}})”
    | (?<![\w'])'(?P<single>[^'\n]{{2,{MOST_CHARACTERS}}})'(?!\w)
    | (?<![\w.,-])(?P<date>[0-9]{{4}}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?![\w-])
        | {_DAY}[ ](?:of[ ])?{_MONTH}(?:,?[ ][0-9]{{3,4}})?(?!\w)
        | {_MONTH}[ ]{_DAY}(?!\w)(?:,?[ ][0-9]{{4}}(?!\w))?
        | {_MONTH},?[ ][0-9]{{4}}(?!\w))
    | (?<![\w.])(?<!\w-)(?P<unit>{_AMOUNT} | {_NUMBER}[ ]?{_UNIT})
    | (?<![\w.,$€£¥/^*+-])(?P<year>(?:1[0-9]|20)[0-9]{{2}})(?![\w%/^*+-]|[.,][0-9])
    | (?<![\w.])(?<!\w-)(?P<number>{_NUMBER})(?!\w)
    | (?<![\w.])(?P<identifier>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*(?:\(\))?)(?!\w)
    """,
    re.VERBOSE,
)
_KINDS: Final[dict[str, EntityKind]] = {
    "code": "code",
    "quoted": "quoted",
    "curly": "quoted",
    "single": "quoted",
    "date": "date",
    "unit": "unit",
    "year": "date",
    "number": "number",
    "identifier": "code",
}
_CAMEL: Final = re.compile(r"[a-z][a-z0-9]+[A-Z][A-Za-z0-9]*")


class RuleExtractor:
    """Finds entities by the shape of words, without a model.

    Names are capitalised words in a row, but not one common word at the start of a sentence; dates are ISO dates,
    "3 March 1815" and years; units are numbers with a unit or a currency; code is ``snake_case``, ``camelCase``,
    ``dotted.names``, ``calls()`` and what stands in backticks. The first 8,000 characters are read and at most 32
    entities given; where there are more, numbers give way. Time is linear in what is read, whatever it is.

    >>> [(found.key, found.kind) for found in RuleExtractor().extract("Was Ada Lovelace, born in 1815, 1.6 m tall?")]
    [('ada lovelace', 'name'), ('1815', 'date'), ('1.6 m', 'unit')]
    """

    version = "rules-1"

    def extract(self, text: str) -> tuple[Entity, ...]:
        """Return the entities of ``text`` in the order in which they first stand there; it never raises."""
        read = read_part(text)
        special = list(_special_spans(read))
        spans = sorted([*special, *((start, end, "name") for start, end in name_spans(read, special))])
        found: dict[str, Entity] = {}
        count: Counter[str] = Counter()
        for start, end, kind in spans:
            key = normalised(read[start:end], kind)
            if key and end - start <= MOST_CHARACTERS:
                count[key] += 1
                found.setdefault(key, Entity(read[start:end], key, kind, start))
        kept = sorted(found.values(), key=lambda entity: (entity.kind == "number", entity.start))[:MOST_ENTITIES]
        return tuple(
            Entity(one.surface, one.key, one.kind, one.start, count[one.key])
            for one in sorted(kept, key=lambda entity: entity.start)
        )


def normalised(surface: str, kind: EntityKind) -> str:
    """Return the key of an entity: code as it is, all else in one case and form.

    >>> normalised("Ada  Lovelace", "name"), normalised("1,000 Km", "unit"), normalised("camelCase()", "code")
    ('ada lovelace', '1000 km', 'camelCase')
    """
    if kind == "code":
        return surface.strip().removesuffix("()")
    plain = " ".join(unicodedata.normalize("NFKC", surface).casefold().split())
    return plain.replace(",", "") if kind in ("number", "unit") else plain


def _special_spans(text: str) -> Iterator[Span]:
    for match in _SPECIAL.finditer(text):
        group = match.lastgroup
        if group is None or (group == "identifier" and not _is_code(match.group(group))):
            continue
        start, end = match.span(group)
        yield start, end, _KINDS[group]


def _is_code(word: str) -> bool:
    name = word.removesuffix("()")
    if len(name) < len(word) or name.startswith("__"):
        return bool(name.strip("_"))
    parts = name.split(".")
    if len(parts) > 1:
        return name[0].islower() and all(len(part) > 1 for part in parts)
    return "_" in name.strip("_") or _CAMEL.fullmatch(name) is not None
