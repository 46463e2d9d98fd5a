"""What of its content a mesh keeps: the policy by which texts are replaced before they reach the store.

Agents, models, verifiers and the caller see everything; only what is kept is changed. (``Secrets`` is the other thing:
there, agents and models do not see the secret either, and the caller gets it back.)
"""

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Final, Literal, TypeAlias, get_args

from pydantic import Field, field_validator, model_validator

from agentmesh.errors import ConfigError
from agentmesh.frozen import Record
from agentmesh.patterns import compiled_for_all, everywhere
from agentmesh.types import JsonValue

Part: TypeAlias = Literal["task", "hints", "context", "answers", "replies", "reasons", "errors", "notes"]
"""The parts of a trace that hold content.

``task`` is what was asked, its inputs, its rules and the conversation; ``hints`` are its labels: type hints, skills and
flags, and the kinds of task that a router knows it by; ``answers`` are those of agents and of the run; ``replies`` what
a reasoning model said; ``reasons`` why something was decided, checked, conflicting or left out; ``notes`` what a person
said beside a verdict, and who it was.
"""

PARTS: Final[tuple[Part, ...]] = get_args(Part)
NOT_KEPT: Final = "[not kept]"
"""What stands in a trace for a text that is not kept; it says as little of a long text as of a short one."""

KEY_CHARACTERS: Final = 16
_TOKEN: Final = re.compile(r"hmac:([0-9a-f]{32})([0-9a-f]{8})")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,29}")
_KEEPING: Final = "keeping"
_REDACTING: Final = "redacting"


class Capture(Record):
    r"""A policy: which texts are kept in full, as keyed hashes, or not at all, and what is taken out of those kept.

    Attributes:
        content: ``"full"`` keeps texts, ``"hashed"`` keeps for each its HMAC-SHA-256, so that equal texts are still
            seen to be equal, and ``"none"`` keeps that there was a text.
        key: What hashes are made with: 16 characters or more, kept apart from the store. Without a key anybody could
            hash the few texts that are likely and compare, so a plain hash would protect no short text.
        keep: Parts that are kept in full whatever ``content`` says.
        redact: Maps a name of your own (lower case) to a regular expression; case is ignored. What it finds in a text
            that is kept is replaced by the name in brackets. At most one repeat of it may be open.

    >>> capture = Capture(redact={"customer": r"\bC-\d{6}\b"})
    >>> capture.text("task", "Call C-123456 back")
    'Call [customer] back'
    >>> Capture(content="none", keep=("hints",)).text("task", "Call C-123456 back")
    '[not kept]'

    Raises:
        ConfigError: hashes are wanted without a key, or a rule cannot be used.
    """

    content: Literal["full", "hashed", "none"] = "full"
    key: str = Field(default="", repr=False, exclude=True)
    keep: tuple[Part, ...] = ()
    redact: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("redact")
    @classmethod
    def _check_rules(cls, rules: Mapping[str, str]) -> Mapping[str, str]:
        for name, pattern in rules.items():
            if _NAME.fullmatch(name) is None:
                raise ConfigError(
                    f"a rule of redaction is named {name!r}; expected at most 30 characters, such as 'customer': lower "
                    "case, digits and _"
                )
            compiled_for_all(pattern)
        return rules

    @model_validator(mode="after")
    def _check_key(self) -> "Capture":
        if self.content == "hashed" and len(self.key) < KEY_CHARACTERS:
            raise ConfigError(
                f"texts are kept as hashes by a key of {len(self.key)} characters; give {KEY_CHARACTERS} or more that "
                "nobody can guess, such as those of secrets.token_hex(), and keep them apart from the store"
            )
        return self

    @property
    def policy(self) -> str:
        """Return the policy in words, as a trace names it; "" where everything is kept.

        >>> Capture(content="none", keep=("hints",), redact={"mail": "@"}).policy
        'none keeping hints redacting mail'
        """
        words: list[str] = [self.content]
        words += [_KEEPING, *sorted(self.keep)] if self.keep and self.content != "full" else []
        words += [_REDACTING, *sorted(self.redact)] if self.redact else []
        return "" if words == ["full"] else " ".join(words)

    def keeps(self, part: Part) -> bool:
        """Return whether texts of a part are kept, less what rules take out of them."""
        return self.content == "full" or part in self.keep

    def text(self, part: Part, text: str) -> str:
        """Return a text as it is kept; doing it again changes nothing more."""
        if self.keeps(part):
            return self._redacted(text)
        if not text or text == NOT_KEPT:
            return text
        return NOT_KEPT if self.content == "none" else self._hashed(text)

    def json_value(self, part: Part, value: JsonValue) -> JsonValue:
        """Return structured data as it is kept: whole, or as one text; none of its keys and numbers is left then."""
        if self.keeps(part):
            return self._redacted_json(value)
        return None if value is None else self.text(part, _plain(value))

    def _hashed(self, text: str) -> str:
        return text if self._is_ours(text) else self._token(self._mac("text", text)[:32])

    def _is_ours(self, text: str) -> bool:
        """Return whether a text is a hash that was made with this key; nobody else can make one that looks so."""
        found = _TOKEN.fullmatch(text)
        return found is not None and hmac.compare_digest(self._token(found[1]), text)

    def _token(self, digest: str) -> str:
        return f"hmac:{digest}{self._mac('hash', digest)[:8]}"

    def _mac(self, purpose: str, text: str) -> str:
        said = f"{purpose}\0{text}".encode(errors="surrogatepass")
        return hmac.new(self.key.encode(errors="surrogatepass"), said, sha256).hexdigest()

    def _redacted(self, text: str) -> str:
        found = [(*span, name) for name, rule in self.redact.items() for span in everywhere(rule, text)]
        pieces, done = list[str](), 0
        for start, end, name in sorted(found):
            if start >= done:
                pieces += [text[done:start], mark_of(name)]
            done = max(done, end)
        return "".join([*pieces, text[done:]]) if found else text

    def _redacted_json(self, value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return self._redacted(value)
        if isinstance(value, Mapping):
            return {self._redacted(key): self._redacted_json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._redacted_json(item) for item in value]
        if isinstance(value, bool) or value is None:
            return value
        written = str(value)  # a number may be that of an account
        redacted = self._redacted(written)
        return value if redacted == written else redacted


def mark_of(rule: str) -> str:
    """Return what stands in a trace for what a rule has found.

    >>> mark_of("customer")
    '[customer]'
    """
    return f"[{rule}]"


def is_kept(text: str) -> bool:
    """Return whether a stored text is one, and not what stands for a text that is not kept.

    >>> is_kept("What is 2 + 2?"), is_kept("[not kept]")
    (True, False)
    """
    return text != NOT_KEPT and _TOKEN.fullmatch(text) is None


def why_not_whole(policy: str, texts: Iterable[str]) -> str:
    """Return why a trace does not hold what was said in its run, "" where it does.

    Args:
        policy: The policy that the trace names.
        texts: Texts that hold all of the trace.

    >>> why_not_whole("full redacting mail", ["Write to [mail]"])
    "its texts were redacted before they were kept (capture 'full redacting mail')"
    >>> why_not_whole("full redacting mail", ["Write to nobody"])
    ''
    """
    if not policy:
        return ""
    if not policy.startswith("full"):
        return f"its texts were not kept (capture {policy!r})"
    marks = [mark_of(rule) for rule in policy.partition(f" {_REDACTING} ")[2].split()]
    is_redacted = any(mark in text for text in texts for mark in marks)
    return f"its texts were redacted before they were kept (capture {policy!r})" if is_redacted else ""


def _plain(value: JsonValue) -> str:
    """Return data as one text, the same for the same data."""
    return "".join(_pieces(value))


def _pieces(value: JsonValue) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield f"{key!r}:"
            yield from _pieces(value[key])
    elif isinstance(value, list | tuple):
        yield "["
        for item in value:
            yield from _pieces(item)
        yield "]"
    else:
        yield repr(value)
