"""Finds numbers that belong to somebody: payment cards, bank accounts and telephones. All in linear time."""

import re
from collections.abc import Iterator, Sequence
from string import ascii_letters
from typing import Final, TypeAlias

Span: TypeAlias = tuple[int, int]

MOST_GROUPS: Final = 6
SHORTEST_GROUP: Final = 3
"""Digits: cards are written in groups of three to six, and lists of small numbers are no cards."""

SHORTEST_CARD: Final = 13
LONGEST_CARD: Final = 19

_DIGIT_RUN: Final = re.compile(r"\d++(?:[ .-]\d++)*+")
_GROUP: Final = re.compile(r"\d+")
_BRANDS: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}"
    r"|5[1-5]\d{14}|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-59]|[689]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}"
    r"|(?:50|5[6-8]|6\d)\d{14,17}"
)
_DOUBLED: Final = "0246813579"
"""The digit sum of twice each digit."""


def cards(text: str) -> Iterator[Span]:
    """Yield payment cards: 13 to 19 digits that a brand gives out, in groups or in one, and right by Luhn's rule.

    >>> list(cards("4111 1111 1111 1111 and 4111 1111 1111 1112"))
    [(0, 19)]
    """
    for run in _DIGIT_RUN.finditer(text):
        if run.end() - run.start() >= SHORTEST_CARD:
            yield from _cards_in(text, [group.span() for group in _GROUP.finditer(text, *run.span())])


def _cards_in(text: str, groups: Sequence[Span]) -> Iterator[Span]:
    digits = "".join(text[start:end] for start, end in groups)
    before, taken = 0, 0  # digits before this group, and up to where they belong to a card that was found
    for first, (start, end) in enumerate(groups):
        if before >= taken and digits[before] in "23456":
            last = _last_group(digits, before, groups[first : first + MOST_GROUPS])
            if last is not None and not (last == 0 and _is_fraction(text, start)):
                yield start, groups[first + last][1]
                taken = before + sum(to - begin for begin, to in groups[first : first + last + 1])
        before += end - start


def _last_group(digits: str, before: int, groups: Sequence[Span]) -> int | None:
    """Return the place of the group that ends a card which begins with the first, ``None`` where none begins there."""
    end = before
    for place, (start, to) in enumerate(groups):
        end += to - start
        if end - before > LONGEST_CARD:
            break
        if end - before >= SHORTEST_CARD and _BRANDS.fullmatch(digits, before, end) and luhn(digits[before:end]):
            return place
        if to - start < SHORTEST_GROUP:
            break
    return None


def _is_fraction(text: str, start: int) -> bool:
    return start >= 2 and text[start - 1] in ".," and text[start - 2].isdigit()


def luhn(digits: str) -> bool:
    """Return whether the last digit checks the others by Luhn's rule (ISO/IEC 7812-1).

    >>> luhn("79927398713"), luhn("79927398714")
    (True, False)
    """
    total = sum(map(int, digits[-1::-2])) + sum(int(_DOUBLED[int(digit)]) for digit in digits[-2::-2])
    return total % 10 == 0


_IBAN_START: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d\d")
_IBAN_COUNTRIES: Final = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 "
    "LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 "
    "QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
"""Countries, and how many characters their account numbers have, from the IBAN registry (ISO 13616)."""

_IBAN_LENGTHS: Final = {entry[:2]: int(entry[2:]) for entry in _IBAN_COUNTRIES.split()}


_IBAN_RESTS: Final = {
    length: re.compile(rf"(?:[ -]?[A-Za-z0-9]){{{length - 4}}}(?![A-Za-z0-9])") for length in {*_IBAN_LENGTHS.values()}
}
_PLAIN: Final = str.maketrans("", "", " -")
_VALUES: Final = str.maketrans({letter: str(int(letter, 36)) for letter in ascii_letters})


def ibans(text: str) -> Iterator[Span]:
    """Yield international bank account numbers: as long as their country has them, and right by their checksum.

    >>> list(ibans("to DE89 3704 0044 0532 0130 00 please"))
    [(3, 30)]
    """
    for begun in _IBAN_START.finditer(text):
        length = _IBAN_LENGTHS.get(begun.group()[:2].upper())
        rest = None if length is None else _IBAN_RESTS[length].match(text, begun.end())
        if rest is not None and int((rest.group() + begun.group()).translate(_PLAIN).translate(_VALUES)) % 97 == 1:
            yield begun.start(), rest.end()


_NUMERIC: Final = re.compile(r"[+(]{0,3}\d[\d ./()+-]{5,}+")
"""Where a telephone number can be: everything else of a text is passed over in one scan."""

_GAP: Final = r"[ ./()-]{0,2}"
_PHONES: Final = (
    re.compile(rf"(?<![\w+])\+[1-9](?:{_GAP}\d){{7,14}}(?!\d)"),
    re.compile(
        r"(?<![\w$.,/+-])(?:1[ .-])?(?:\([2-9]\d\d\)[ -]?|[2-9]\d\d([.-]))\d{3}(?(1)\1|[ .-])\d{4}(?!\w|[.,-]\d)"
    ),
)
_NATIONAL: Final = re.compile(
    rf"(?<![\w.,/+:-])(?<!\d\d[ -])\(?0(?:0[1-9](?:{_GAP}\d){{8,13}}|[1-9](?:{_GAP}\d){{7,10}})(?!\w|[./:-]\d)"
)
_CUE: Final = re.compile(
    r"\b(?:(?:(?:tele|cell|mobile )?phone|tel|telefon|t\u00e9l\u00e9phone|mobile|cell|fax|whatsapp|sms)\b[^\d\n]{0,24}"
    r"|(?:call|dial|text|ring|reach)(?: (?:me|us|him|her|them|back|my \w+|at|on|under)){0,3} )\Z",
    re.IGNORECASE,
)
_BEHIND_CUE: Final = re.compile(rf"\(?\d(?:{_GAP}\d){{6,14}}(?!\w)")
_LONGEST_CUE: Final = 40
_DATE: Final = re.compile(
    r"\d{1,2}([./-])\d{1,2}\1\d{2,4}(?!\1?\d)|(?:1[5-9]|20)\d\d[ ./-]+(?:1[5-9]|20)\d\d|\d{4}-\d\d-\d\d"
)


def phones(text: str) -> Iterator[Span]:
    """Yield telephone numbers: international, North American, with a leading zero, or behind a word such as "call".

    >>> list(phones("+49 171 1234567, 555-123-4567, 030 1234567, not 1990-2010"))
    [(0, 15), (17, 29), (31, 42)]
    """
    for region in _NUMERIC.finditer(text):
        start, end = region.start(), region.end() + 2  # two more, which a shape may look ahead to
        for shape in _PHONES:
            yield from (found.span() for found in shape.finditer(text, start, end))
        yield from (found.span() for found in _NATIONAL.finditer(text, start, end) if _is_dialled(found.group()))
        behind = _BEHIND_CUE.match(text, start, end)
        if behind and not _DATE.match(behind.group()) and _CUE.search(text[max(start - _LONGEST_CUE, 0) : start]):
            yield behind.span()


def _is_dialled(written: str) -> bool:
    """Return whether digits behind a zero are a telephone number: grouped, no date, no decimals, no row of bits."""
    if written.isdigit() or _DATE.match(written) is not None:
        return False
    return not ("." in written and " " in written) and not set(written) <= set("01 .-")
