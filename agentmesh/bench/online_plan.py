"""What an online evaluation is asked for: seeds, routers with arguments, an agent that drifts, an agent that comes."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from agentmesh.errors import ConfigError
from agentmesh.types import AgentId, JsonValue

Feedback: TypeAlias = Literal["bandit", "full"]
Types: TypeAlias = Literal["discovered", "given"]
Scenario: TypeAlias = Literal["quality", "balanced", "cheap"]
OnlineSplit: TypeAlias = Literal["train", "all"]

MOST_SEEDS = 1000


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """A router by its registered name, with constructor arguments; ``label`` is how it was written."""

    label: str
    name: str
    arguments: Mapping[str, JsonValue]

    @classmethod
    def parse(cls, text: str) -> "RouterSpec":
        """Read ``NAME`` or ``NAME:argument=value:argument=value``; a value is JSON, or else a plain string.

        Raises:
            ConfigError: an argument lacks its value.

        >>> RouterSpec.parse('knn:k=20:policy="softmax:0.1"').arguments
        {'k': 20, 'policy': 'softmax:0.1'}
        """
        name, *pairs = outside_quotes(text.strip(), ":")
        arguments: dict[str, JsonValue] = {}
        for pair in pairs:
            key, equals, value = pair.partition("=")
            if not (key and equals and value):
                raise ConfigError(f"router {text!r}: {pair!r} is no argument; accepted: NAME or NAME:argument=value")
            arguments[key] = _json_or_text(value)
        return cls(text.strip(), name, arguments)


def _json_or_text(value: str) -> JsonValue:
    try:
        found: JsonValue = json.loads(value)
    except json.JSONDecodeError:
        return value
    return found


def router_specs(text: str) -> tuple[RouterSpec, ...]:
    """Read routers separated by commas, each once.

    Raises:
        ConfigError: the list is empty, or names a router with the same arguments twice.

    >>> [spec.label for spec in router_specs("knn, pheromone:specialists=false")]
    ['knn', 'pheromone:specialists=false']
    """
    specs = tuple(RouterSpec.parse(part) for part in outside_quotes(text, ",") if part.strip())
    labels = [spec.label for spec in specs]
    if not specs or len(set(labels)) < len(labels):
        raise ConfigError(f"routers are {text!r}; accepted: a list such as 'knn,linear', each router once")
    return specs


def outside_quotes(text: str, separator: str) -> list[str]:
    """Split ``text`` at each ``separator`` that stands outside of double quotes and brackets.

    >>> outside_quotes('a:b="c:d":e=[1:2]', ":")
    ['a', 'b="c:d"', 'e=[1:2]']
    """
    parts, depth, quoted = [""], 0, False
    for letter in text:
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter in "[{") - (letter in "]}")
        if letter == separator and not quoted and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


@dataclass(frozen=True, slots=True)
class DriftSpec:
    """From task ``step`` on, agent ``agent`` has this mean quality; ``agent`` may be ``best`` or ``best:GROUP``."""

    agent: str
    step: int
    quality: float

    @classmethod
    def parse(cls, text: str) -> "DriftSpec":
        """Read ``AGENT@STEP:QUALITY``.

        Raises:
            ConfigError: it is written otherwise, or the quality lies outside 0 to 1.

        >>> DriftSpec.parse("best:math@2000:0.2")
        DriftSpec(agent='best:math', step=2000, quality=0.2)
        """
        found = re.fullmatch(r"(.+)@(\d+):([0-9.]+)", text)
        if not found:
            raise ConfigError(f"drift is {text!r}; accepted: AGENT@STEP:QUALITY, such as 'best@2000:0.2'")
        quality = _number(found[3])
        if not 0.0 <= quality <= 1.0:
            raise ConfigError(f"drift is {text!r}: quality {found[3]!r}; accepted: a number from 0 to 1")
        return cls(found[1], int(found[2]), quality)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


@dataclass(frozen=True, slots=True)
class NewAgentSpec:
    """Agent ``agent`` (or ``best``) is not in the pool before task ``step``."""

    agent: AgentId
    step: int

    @classmethod
    def parse(cls, text: str) -> "NewAgentSpec":
        """Read ``AGENT@STEP``.

        Raises:
            ConfigError: it is written otherwise.

        >>> NewAgentSpec.parse("gpt-4o@1000")
        NewAgentSpec(agent='gpt-4o', step=1000)
        """
        found = re.fullmatch(r"(.+)@(\d+)", text)
        if not found:
            raise ConfigError(f"new agent is {text!r}; accepted: AGENT@STEP, such as 'best@1000'")
        return cls(found[1], int(found[2]))


def seeds_of(text: str) -> tuple[int, ...]:
    """Read ``5`` as seeds 0 to 4, and ``100-104`` as these five.

    Raises:
        ConfigError: it is written otherwise, or names no seed or more than 1,000.

    >>> seeds_of("3"), seeds_of("100-101")
    ((0, 1, 2), (100, 101))
    """
    found = re.fullmatch(r"(?:(\d{1,9})-)?(\d{1,9})", text.strip())
    if found:
        first = 0 if found[1] is None else int(found[1])
        last = int(found[2]) - (found[1] is None)
        if first <= last < first + MOST_SEEDS:
            return tuple(range(first, last + 1))
    raise ConfigError(f"seeds are {text!r}; accepted: a count such as '5', or a range such as '100-104'")


@dataclass(frozen=True, slots=True)
class OnlinePlan:
    """How tasks arrive and what is revealed.

    Args:
        routers: Who is measured; all that are installed of the usual ones when empty.
        seeds: One stream each.
        split: ``train``, or ``all``: train and test together.
        steps: How many tasks arrive; each task of the split once when ``None``.
        feedback: ``bandit`` reveals the outcome of the agent that was called, ``full`` those of all agents.
        types: Whether routers are told the group of a task (``given``) or see its text and vector alone.
        scenario: What routers are to optimise.
        drift: An agent whose quality changes on the way.
        new_agent: An agent that comes on the way.
        explore: The chance that a call goes to an agent drawn at random.

    Raises:
        ConfigError: a field is out of its range.
    """

    routers: Sequence[RouterSpec] = ()
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    split: OnlineSplit = "all"
    steps: int | None = None
    feedback: Feedback = "bandit"
    types: Types = "discovered"
    scenario: Scenario = "quality"
    drift: DriftSpec | None = None
    new_agent: NewAgentSpec | None = None
    explore: float = field(default=0.02)

    def __post_init__(self) -> None:
        """Check what does not need the set."""
        for name, value, accepted in (
            ("split", self.split, OnlineSplit),
            ("feedback", self.feedback, Feedback),
            ("types", self.types, Types),
            ("scenario", self.scenario, Scenario),
        ):
            if value not in get_args(accepted):
                raise ConfigError(f"{name} is {value!r}; accepted: {', '.join(map(repr, get_args(accepted)))}")
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps are {self.steps!r}; accepted: 1 or more")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"seeds are {self.seeds!r}; accepted: one or more different ones from 0 up")
        if not 0.0 <= self.explore <= 1.0:
            raise ConfigError(f"explore is {self.explore!r}; accepted: 0 to 1")
