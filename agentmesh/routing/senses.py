"""Everyday words for what agents are named by: an agent is called ``lists_remove``, a person says "wipe my list"."""

from functools import lru_cache
from typing import Final

_GROUPS: Final = """
query check show tell view display see look find search get read what which list info information details
remove delete cancel clear erase drop wipe discard
set create add make put new insert start schedule enter
update change edit modify adjust alter switch replace
up increase raise higher louder brighter boost
down decrease reduce lower quieter softer less
mute silence silent quiet
on enable activate
off disable deactivate stop
send write reply compose answer respond
post publish share announce
order buy purchase
book reserve reservation booking
suggestion recommendation recommend suggest idea advice best good
confirm affirm yes correct right sure agree
negate deny no wrong incorrect
repeat again
status progress state track
transfer move send
calculate calculator compute maths math plus minus times divided
definition define meaning mean
conversion convert exchange
explain explanation clarify elaborate
improve better help
lost missing stolen
broken damaged
like likeness love favourite favorite
praise thank thanks great
greeting hello hi hey
goodbye bye
location where place address
duration long
price cost fee charge
income salary pay wage
"""
"""One sense a line: operations that tools and agents are named by, and some attributes, each with what people say."""

_LEAST_STEM: Final = 3
_ENDINGS: Final = ("s", "es", "ed", "d", "ing", "er", "ly")


def _by_word() -> dict[str, tuple[int, ...]]:
    senses: dict[str, tuple[int, ...]] = {}
    for number, line in enumerate(_GROUPS.split("\n")[1:-1]):
        for word in line.split():
            senses[word] = (*senses.get(word, ()), number)
    return senses


_SENSES: Final = _by_word()


@lru_cache(maxsize=20_000)
def senses_of(word: str) -> tuple[int, ...]:
    """Return the numbers of the senses that a lower-case word has, rising; its usual endings do not count.

    >>> senses_of("deleting") == senses_of("remove")
    True
    >>> senses_of("banana")
    ()
    """
    return tuple(sorted({sense for form in _forms(word) for sense in _SENSES.get(form, ())}))


def _forms(word: str) -> list[str]:
    """Return a word, and it without an ending as English drops them: stopped, stop; making, make; replies, reply."""
    forms = [word]
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < _LEAST_STEM:
            continue
        forms += [stem, stem + "e"]
        if stem[-1] == stem[-2]:
            forms.append(stem[:-1])
        if stem.endswith("i"):
            forms.append(stem[:-1] + "y")
    return forms
