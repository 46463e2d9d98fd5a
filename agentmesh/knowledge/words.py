"""The words that tell nothing of a task's subject, and where a sentence ends."""

import re
from typing import Final

READ_CHARACTERS: Final = 8_000
"""Only the start of a long text is read: learning from a task may not take longer because it is a book."""

_FUNCTION_WORDS: Final = """
a about above after again against all also although always am an and any are around as at be because been before being
below between both but by can cannot could did do does doing done down during each either else enough etc ever every
few for from further get gets give given gives go goes got had has have having he hence her here hers herself him
himself his how however i if in instead into is it its itself just know let lets like made make makes many may maybe
me might mine more most much must my myself need needs neither never no nor not nothing now of off often on once one
only onto or other others our ours out over own per perhaps please put quite rather really said same say says see seem
seems shall she should since so some something soon still such take taken than thank thanks that the their theirs them
then there therefore these they thing things this those though through thus to too toward under unless until up upon
us use used uses using very via want wants was way we well were what whatever when where whether which while who whom
whose why will with within without would yes yet you your yours yourself
"""

_OPENING_WORDS: Final = """
according add analyse analyze answer apply arrange assume calculate call change check choose classify come compare
complete compute consider convert correct count create decide define derive describe design determine discuss draw
edit estimate evaluate examine explain express factor fill find fix follow generate hello help hi identify imagine
implement improve indicate list look match name note order outline pick plan predict prepare prove provide question
read remind remove rewrite round select send set show simplify solve sort start state stop substitute suggest suppose
summarise summarize tell translate true false try turn two three verify write
"""

COMMON_WORDS: Final = frozenset(_FUNCTION_WORDS.split()) | frozenset(_OPENING_WORDS.split())
"""Words of the grammar, and those that tasks begin with: no part of a term, and their capital makes no name."""

SENTENCE_END: Final = re.compile(r"[.!?:;\n\r]")

_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def read_part(text: str) -> str:
    r"""Return what is read of a text: its start, of the same length, with halves of surrogate pairs as spaces.

    >>> read_part("a\ud800b")
    'a b'
    """
    return without_halves(text[:READ_CHARACTERS])


def without_halves(text: str) -> str:
    """Return text that UTF-8 can hold, of the same length."""
    return _SURROGATES.sub(" ", text)
