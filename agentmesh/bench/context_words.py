"""The words of a made-up service office: names, and how each kind of fact is put. Val and test share none of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

WorldSplit: TypeAlias = Literal["val", "test"]


@dataclass(frozen=True, slots=True)
class Words:
    """What one split's worlds are told in: names, the wordings of each fact and of each question, and idle talk."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    desks: tuple[str, ...]
    facts: Mapping[str, tuple[str, ...]]
    questions: Mapping[str, tuple[str, ...]]
    talk: tuple[str, ...]


_VAL: Final = Words(
    given=("Mara", "Ivo", "Lena", "Ruben", "Tilda", "Otto", "Nadia", "Emil", "Greta", "Hugo"),
    family=("Lindqvist", "Brandt", "Oduya", "Castell", "Holm", "Varga", "Petrov", "Salas", "Keane", "Duarte"),
    desks=("Alder", "Birch", "Cedar", "Elm", "Hazel", "Juniper", "Larch", "Maple", "Rowan", "Willow"),
    facts={
        "wrote": (
            "{customer} wrote in as {ticket}: “{request}”.",
            "Message from {customer}, kept as {ticket}: “{request}”.",
        ),
        "filed": ("{ticket} was filed under “{topic}”.", "We put {ticket} down as “{topic}”."),
        "takes": ("Requests about “{topic}” go to the {desk} desk.", "The {desk} desk takes “{topic}”."),
        "runs": ("{person} runs the {desk} desk this month.", "At the {desk} desk, {person} is in charge."),
        "phone": ("{person}: extension {number}, second floor.", "{person} picks up on {number}."),
        "case": ("Case at hand: {ticket}.", "What we work on now is {ticket}."),
    },
    questions={
        "desk": ("To which desk does the matter of {customer} go?", "Which desk is right for {customer}?"),
        "person": ("Who is in charge of the matter of {customer}?", "Who will deal with {customer}?"),
        "phone": (
            "On which extension do I reach whoever deals with {customer}?",
            "{customer} needs a call back: what number has the one in charge?",
        ),
        "waiting": ("Which customer waits for {person}?", "Whose matter is with {person}?"),
        "same": (
            "Do the matters of {customer} and {other} go to the same desk?",
            "Is one desk right for both {customer} and {other}?",
        ),
        "latest": ("To which desk does the latest matter of {customer} go?",),
        "at_hand": ("Who is in charge of the case at hand?", "Who should be told of the case we have now?"),
        "about": ("Who is in charge of questions like “{request}”?", "Somebody asks “{request}”: who can help?"),
        "step": ("Please take the next step for {customer}.", "Do your part for {customer}."),
    },
    talk=(
        "{customer} also asked “{request}”, which was settled on the spot.",
        "{person} moved the printer of the {desk} desk.",
        "{ticket} was printed twice by mistake.",
        "{customer} sent a card for the holidays and was thanked by {person}.",
        "The {desk} desk ordered new chairs.",
        "Somebody called and only said “{request}”.",
    ),
)
_TEST: Final = Words(
    given=("Bastian", "Celia", "Dario", "Edda", "Farid", "Ingrid", "Jonas", "Katya", "Milo", "Selma"),
    family=("Abend", "Bruun", "Conti", "Falk", "Grieve", "Iversen", "Jansky", "Moreau", "Nyberg", "Tanaka"),
    desks=("Basalt", "Chalk", "Flint", "Granite", "Jasper", "Marble", "Onyx", "Quartz", "Slate", "Topaz"),
    facts={
        "wrote": (
            "{ticket} came from {customer}, who said “{request}”.",
            "In {ticket}, {customer} asks us: “{request}”.",
        ),
        "filed": ("Sorted: {ticket} is a matter of “{topic}”.", "“{topic}” is what {ticket} is about."),
        "takes": ("For “{topic}”, turn to {desk}.", "{desk} looks after “{topic}”."),
        "runs": ("Head of {desk} is {person}.", "{person} leads {desk} for the time being."),
        "phone": ("Dial {number} for {person}.", "{number} is the line of {person}."),
        "case": ("Up next is {ticket}.", "Now open on the table: {ticket}."),
    },
    questions={
        "desk": ("Where should the request of {customer} be handled?", "Where does {customer}'s request belong?"),
        "person": ("Who looks into what {customer} asked?", "Name the colleague who helps {customer}."),
        "phone": (
            "What do I dial to speak about {customer} with the colleague who helps?",
            "Which line should {customer} be put through to?",
        ),
        "waiting": ("Which client is {person} supposed to help?", "Whom does {person} have to answer?"),
        "same": (
            "Are {customer} and {other} handled in one place?",
            "Would {customer} and {other} end up with the same team?",
        ),
        "latest": ("Where should the newest request of {customer} be handled?",),
        "at_hand": ("Name the colleague for what is open right now.", "Who helps with the one that is up next?"),
        "about": ("Name the colleague for a question such as “{request}”.", "“{request}” - which colleague knows?"),
        "step": ("{customer} is waiting, go ahead.", "Over to you: {customer}."),
    },
    talk=(
        "Once more {customer} said “{request}”; nothing was left to do.",
        "{person} and the people of {desk} had lunch together.",
        "A copy of {ticket} lay in the wrong tray.",
        "{customer} thanked {person} for the good talk at the fair.",
        "In {desk} the lamp was replaced.",
        "On the machine there was only “{request}”.",
    ),
)
WORDS: Final[Mapping[WorldSplit, Words]] = {"val": _VAL, "test": _TEST}

_SHAPES: Final = {
    "customer": r"[^\W\d_]+ [^\W\d_]+",
    "person": r"[^\W\d_]+ [^\W\d_]+",
    "desk": r"[^\W\d_]+",
    "ticket": r"T-\d+",
    "number": r"\d+",
    "request": r"[^”]*",
    "topic": r"[^”]*",
}


def _reader(wording: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", wording)
    made = [rf"(?P<{part}>{_SHAPES[part]})" if place % 2 else re.escape(part) for place, part in enumerate(parts)]
    return re.compile(r"(?<!\w)" + "".join(made))


_READERS: Final = {
    kind: tuple(_reader(wording) for words in WORDS.values() for wording in words.facts[kind]) for kind in _VAL.facts
}


@lru_cache(maxsize=20_000)  # the same texts are read in many slices
def facts_in(kind: str, text: str) -> tuple[Mapping[str, str], ...]:
    """Return what each statement of one kind in ``text`` says, in whichever wording.

    >>> [dict(fact) for fact in facts_in("phone", "Dial 31 for Edda Falk. Otto Holm picks up on 4417.")]
    [{'person': 'Otto Holm', 'number': '4417'}, {'number': '31', 'person': 'Edda Falk'}]
    """
    return tuple(found.groupdict() for reader in _READERS[kind] for found in reader.finditer(text))
