"""What is a secret, and where a text holds one: emails, keys, cards, telephones, accounts, and what a user names."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from pydantic import Field, field_validator

from agentmesh.errors import ConfigError
from agentmesh.judging.folding import fold
from agentmesh.judging.secret_keys import keys
from agentmesh.judging.secret_numbers import Span, cards, ibans, phones
from agentmesh.patterns import compiled_for_all, everywhere
from agentmesh.records import Record

SecretKind: TypeAlias = Literal["email", "key", "card", "phone", "iban"]
KINDS: Final[tuple[SecretKind, ...]] = get_args(SecretKind)
_EMAIL: Final = re.compile(r"(?<![\w.%+&~-])(?:[\w.%+&~-]++'){0,2}+[\w.%+&~-]++@[\w-]++(?:\.[\w-]++)++")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,29}")


def emails(text: str) -> Iterator[Span]:
    """Yield addresses of mail.

    >>> list(emails("Write to ann.lee+shop@example.com."))
    [(9, 33)]
    """
    return (found.span() for found in _EMAIL.finditer(text))


_DETECTORS: Final[Mapping[SecretKind, Callable[[str], Iterator[Span]]]] = {
    "email": emails,
    "key": keys,
    "card": cards,
    "phone": phones,
    "iban": ibans,
}


class Secrets(Record):
    r"""What a mesh hides from agents, models and its store.

    ``kinds`` are the built-in ones that are looked for. ``patterns`` maps a name of your own (lower case) to a regular
    expression; case is ignored. It is searched for in whole texts, so that at most one repeat may be open. ``keep``
    holds texts that are no secrets though they look it, compared without regard to case.

    >>> secrets = Secrets(patterns={"customer": r"\bC-\d{6}\b"}, keep=("help@shop.example",))
    >>> [(found.kind, found.start, found.end) for found in secrets.find("C-123456 wrote to help@shop.example")]
    [('customer', 0, 8)]

    Raises:
        ConfigError: a pattern cannot be used, or has the name of a built-in kind or no name.
    """

    kinds: tuple[SecretKind, ...] = KINDS
    patterns: Mapping[str, str] = Field(default_factory=dict)
    keep: tuple[str, ...] = ()

    @field_validator("patterns")
    @classmethod
    def _check(cls, patterns: Mapping[str, str]) -> Mapping[str, str]:
        for name, pattern in patterns.items():
            if _NAME.fullmatch(name) is None or name in KINDS:
                raise ConfigError(
                    f"a pattern is named {name!r}; expected a name of your own of at most 30 characters, such as "
                    "'customer': lower case, digits and _"
                )
            compiled_for_all(pattern)
        return patterns

    def find(self, text: str) -> tuple["Found", ...]:
        """Return the secrets in a text, in order. Where several overlap, they are one of the kind of the longest."""
        folded = fold(text)
        found = [
            Found(*folded.span(start, end), kind) for kind in self.kinds for start, end in _DETECTORS[kind](folded.text)
        ]
        for name, pattern in self.patterns.items():
            found += [Found(*folded.span(start, end), name) for start, end in everywhere(pattern, folded.text)]
            if folded.text != text:  # a pattern may name what reading it narrow takes away
                found += [Found(start, end, name) for start, end in everywhere(pattern, text)]
        return tuple(joined(one for one in found if not self.keeps(text[one.start : one.end])))

    def keeps(self, secret: str) -> bool:
        """Return whether a text is no secret though it looks it."""
        return bool(self.keep) and secret.casefold() in {kept.casefold() for kept in self.keep}


@dataclass(frozen=True, slots=True)
class Found:
    """A secret in a text: the characters from ``start`` to before ``end``, and its kind."""

    start: int
    end: int
    kind: str


def joined(found: Iterable[Found]) -> Iterator[Found]:
    """Yield spans that do not overlap and cover the same: dropping the shorter of two would leave some of it behind."""
    whole: Found | None = None
    longest = 0
    for one in sorted(found, key=lambda one: (one.start, -one.end, one.kind)):
        if whole is None or one.start >= whole.end:
            if whole is not None:
                yield whole
            whole, longest = one, one.end - one.start
            continue
        kind = one.kind if one.end - one.start > longest else whole.kind
        whole, longest = Found(whole.start, max(whole.end, one.end), kind), max(longest, one.end - one.start)
    if whole is not None:
        yield whole
