"""A routing decision as users see it: who was considered, who was chosen, and why, also in words."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from math import ceil
from textwrap import fill
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from agentmesh.frozen import Record
from agentmesh.packing import PackedFloats, unpack_floats
from agentmesh.types import AgentId

if TYPE_CHECKING:
    from agentmesh.types import FloatArray

COLUMNS: Final = 76
"""How wide an explanation may be: a terminal of 80 columns, less the frame of a panel."""

HANGING: Final = "    "
GUARD: Final = "guard"
"""The name of the stage that knows how familiar a task is, and of the gate by which it refuses agents."""

UNHEALTHY: Final = "unhealthy"
"""The gate that refuses an agent which is left alone, since it keeps failing."""

RIVALS: Final = 3  # of how many that were not chosen is said what would flip the choice
LEAST_SAID: Final = 0.005  # a kind of task that rounds to 0 % is not worth a word
ROUNDING: Final = 1e-6
MOST_EVIDENCE: Final = 6
TOLD_TEXT: Final = 40
"""Characters of a past task, so that it stands on a line with what came of it."""
SOLVED: Final = 0.5


class Candidate(Record):
    """One agent as the router saw it. ``gate`` names the hard gate that refused it; then its probability is 0.

    ``flip`` is how much better its expected quality would have to be for it to be the best: 0 for the best one,
    ``None`` where nothing would flip the choice or the router's scores have no unit.
    """

    agent_id: AgentId
    score: float | None
    probability: float
    inclusion: float
    agent_version: int = 1
    gate: str | None = None
    expected_quality: float | None = None
    expected_cost_usd: float | None = None
    expected_latency_s: float | None = None
    flip: float | None = None
    factors: Mapping[str, float] = Field(default_factory=dict)

    @property
    def needed_quality(self) -> float | None:
        """Return the expected quality that would make it the best one, in thousandths; ``None`` as for ``flip``."""
        if self.flip is None or self.expected_quality is None:
            return None
        return min(ceil((self.expected_quality + self.flip) * 1000 - ROUNDING) / 1000, 1.0)  # up: it must do


class Selection(Record):
    """An agent that was chosen, and the weight of its vote."""

    agent_id: AgentId
    weight: float


class Evidence(Record):
    """Something known that carried the choice of the first agent: a past task, a skill, or an entity.

    ``weight`` is how much the logit of the agent's expected quality would fall without it. ``quality`` is what the
    agent was worth on the task, or in the skill. ``text`` is the beginning of the task.
    """

    kind: Literal["task", "skill", "entity"]
    name: str
    weight: float
    quality: float | None = None
    text: str = ""


class Stage(Record):
    """What one stage of a cascade said: whom it would have chosen, how sure it was, and whether it decided.

    A stage whose ``confidence`` is below its ``threshold`` leaves the choice to the stage named in ``beyond``.
    ``chosen`` is empty where it would have chosen nobody. A ``threshold`` of ``None`` was not in force.
    """

    name: str
    chosen: tuple[AgentId, ...] = ()
    confidence: float | None = None
    threshold: float | None = None
    beyond: str = ""
    decided: bool = False
    note: str = ""


class Reasoning(Record):
    """What a reasoning model was asked, and what it said.

    ``asked`` are the agents that were put to it. ``reply`` is what it wrote, as far as it was read; ``reason`` and
    ``named`` are what was understood of it, after the ``repairs``. ``fault`` says why nothing could be used of it; then
    another router decided. ``cost_usd`` is ``None`` when it is unknown.
    """

    model: str
    asked: tuple[AgentId, ...]
    reply: str = ""
    reason: str = ""
    named: tuple[AgentId, ...] = ()
    out_of_scope: bool = False
    repairs: tuple[str, ...] = ()
    fault: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None
    latency_s: float = 0.0
    cached: bool = False


class RouteDecision(Record):
    """Who should act, and all that is needed to see why and to decide the same again.

    Shapes:
        ``scores`` and ``probabilities`` hold one float64 for each agent of the pool named by ``registry_version``,
        in the pool's order; NaN is the score of a gated agent. ``candidates`` are the readable best few.

    ``intent`` says what kinds of task the router took this for, with weights that sum to at most 1; it is empty where
    the router knows no kinds. ``evidence`` is what the choice of the first agent rests on, as far as the router
    can say. ``stages`` are those of a cascade, in the order they spoke; ``reasoning`` is what a reasoning model said.
    """

    router: str
    router_version: str
    registry_version: str
    seed: int
    selected: tuple[Selection, ...]
    candidates: tuple[Candidate, ...]
    scores: PackedFloats
    probabilities: PackedFloats
    margin: float | None = None
    threshold: float | None = None
    abstained: bool = False
    log_propensity: float = 0.0
    explored: bool = False
    policy: str = ""
    elapsed_ms: float = 0.0
    reason: str = ""
    intent: Mapping[str, float] = Field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    stages: tuple[Stage, ...] = ()
    reasoning: Reasoning | None = None

    def score_array(self) -> "FloatArray":
        """Return the utility of each agent of the pool, shape (n_agents,); NaN where gated."""
        return unpack_floats(self.scores)

    def probability_array(self) -> "FloatArray":
        """Return the probability that each agent is drawn first, shape (n_agents,)."""
        return unpack_floats(self.probabilities)

    def explain(self, *, most: int | None = None) -> str:
        """Say in words who was chosen, over whom, by what margin, and what would have changed that.

        Args:
            most: How many candidates to list; those chosen are always listed.
        """
        lines = [in_lines(self._headline(), indent="")]
        if self.reason:
            lines.append(in_lines(self.reason))
        if len(self.stages) > 1:
            lines.extend(in_lines(_stage_words(stage)) for stage in self.stages)
        if self.reasoning is not None and self.reasoning.repairs:
            lines.append(in_lines(f"The model's reply was mended: {'; '.join(self.reasoning.repairs)}"))
        kinds = [f"{kind} {_percent(weight)}" for kind, weight in self.intent.items() if weight >= LEAST_SAID]
        if kinds:
            lines.append(_laid_out("  Taken for: ", kinds))
        if self.evidence and self.selected:
            lines.append(_laid_out("  Because of: ", [_evidence_words(one) for one in self.evidence[:MOST_EVIDENCE]]))
        chosen = {selection.agent_id for selection in self.selected}
        rivals = {candidate.agent_id for candidate in self._rivals(chosen)}
        for candidate in self._listed(chosen, most):
            lines.append(_candidate_line(candidate, chosen=candidate.agent_id in chosen))
            if candidate.agent_id in rivals:
                lines.append(f"{HANGING}{_flip_line(candidate, alone=len(chosen) == 1 and not self.explored)}")
        return "\n".join(lines)

    def _headline(self) -> str:
        router = f"router {self.router} ({self.router_version})"
        if self.abstained:
            return f"Nobody was chosen by {router}."
        names = ", ".join(selection.agent_id for selection in self.selected)
        margin = "" if self.margin is None else f", {abs(self.margin):.3f} {_side(self.margin)} the next best"
        drawn = "; drawn to explore" if self.explored else ""
        return f"Chosen by {router}: {names}{margin}{drawn}."

    def _listed(self, chosen: Collection[AgentId], most: int | None) -> list[Candidate]:
        others = [candidate.agent_id for candidate in self.candidates if candidate.agent_id not in chosen]
        listed = set(others if most is None else others[: max(most - len(chosen), 0)]).union(chosen)
        return [candidate for candidate in self.candidates if candidate.agent_id in listed]

    def _rivals(self, chosen: Collection[AgentId]) -> list[Candidate]:
        """Return the best few of those not chosen, where it is known what would have made them the best.

        The best agent's flip is 0: where no candidate has one, the decision was recorded before flips were, or the
        scores have no unit.
        """
        if self.abstained or all(candidate.flip is None for candidate in self.candidates):
            return []
        left = [candidate for candidate in self.candidates if candidate.agent_id not in chosen]
        return [one for one in left if one.expected_quality is not None and one.flip != 0][:RIVALS]


def _side(margin: float) -> str:
    return "ahead of" if margin >= 0 else "behind"


def _candidate_line(candidate: Candidate, *, chosen: bool) -> str:
    mark = "*" if chosen else " "
    if candidate.gate is not None:
        return f"{mark} {candidate.agent_id}: refused by the gate {candidate.gate!r}"
    parts = ["score unknown" if candidate.score is None else f"score {candidate.score:.3f}"]
    parts.append(f"p {candidate.probability:.3f}")
    if candidate.expected_quality is not None:
        parts.append(f"expected quality {candidate.expected_quality:.3f}")
    if candidate.expected_cost_usd is not None:
        parts.append(f"expected cost {candidate.expected_cost_usd:.3g} USD")
    parts.extend(f"{name} {value:.3g}" for name, value in candidate.factors.items())
    return _laid_out(f"{mark} {candidate.agent_id}: ", parts)


def _flip_line(candidate: Candidate, *, alone: bool) -> str:
    needed = candidate.needed_quality
    if needed is None:
        return "nothing it could answer would flip this"
    what = "be chosen" if alone else "come first"
    return f"would {what} if its expected quality were {needed:.3f} instead of {candidate.expected_quality:.3f}"


def _evidence_words(one: Evidence) -> str:
    """Tell one thing that carried a choice.

    >>> _evidence_words(Evidence(kind="task", name="r1", weight=0.25, quality=1.0, text="What is 6 * 9?"))
    'solved "What is 6 * 9?" (+0.25)'
    """
    weight = f"({one.weight:+.2f})"
    if one.kind == "task":
        did = "solved" if one.quality is not None and one.quality >= SOLVED else "failed"
        return f'{did} "{_beginning(one.text or one.name)}" {weight}'
    worth = "" if one.quality is None else f" {one.quality:.2f}"
    return f"{one.kind} {_beginning(one.name)}{worth} {weight}"


def _stage_words(stage: Stage) -> str:
    """Tell what one stage of a cascade said.

    >>> _stage_words(Stage(name="kernel", chosen=("a",), confidence=0.01, threshold=0.05, beyond="reasoning"))
    'kernel would choose a, sure by 0.010 where 0.050 is asked for: on to reasoning'
    """
    if stage.name == GUARD:
        return _guard_words(stage)
    if not stage.chosen and not stage.decided:
        return f"{stage.name} was of no use: {_beginning(stage.note, COLUMNS) or 'it named nobody'}"
    verb, whom = "chose" if stage.decided else "would choose", ", ".join(stage.chosen) or "nobody"
    sure = "" if stage.confidence is None else f", sure by {stage.confidence:.3f}"
    handed = f": on to {stage.beyond}" if stage.beyond and not stage.decided else ""
    return f"{stage.name} {verb} {whom}{sure}{_asked_for(stage)}{handed}{_noted(stage)}"


def _guard_words(stage: Stage) -> str:
    done = "turned the task away" if stage.decided else "let the task through"
    whom = f" to {', '.join(stage.chosen)} alone" if stage.chosen else ""
    familiarity = "" if stage.confidence is None else f": familiarity {stage.confidence:.3f}"
    return f"{stage.name} {done}{whom}{familiarity}{_asked_for(stage)}{_noted(stage)}"


def _asked_for(stage: Stage) -> str:
    return "" if stage.threshold is None else f" where {stage.threshold:.3f} is asked for"


def _noted(stage: Stage) -> str:
    return f" ({stage.note})" if stage.note else ""


def _beginning(text: str, most: int = TOLD_TEXT) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def in_lines(text: str, *, indent: str = "  ") -> str:
    """Return running text in lines of an explanation, further ones hanging.

    >>> print(in_lines("the model chose 'solver': " + "it is a sum; " * 6))
      the model chose 'solver': it is a sum; it is a sum; it is a sum; it is a
        sum; it is a sum; it is a sum;
    """
    return fill(text, COLUMNS, initial_indent=indent, subsequent_indent=HANGING, break_on_hyphens=False)


def _laid_out(head: str, parts: Sequence[str]) -> str:
    """Return ``head`` and the parts, separated by commas, in lines of at most ``COLUMNS`` where the parts allow it.

    >>> print(_laid_out("* a: ", ["score 0.900", "p 0.500"]))
    * a: score 0.900, p 0.500
    """
    lines = [head + parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(", ,") + len(part) <= COLUMNS:
            lines[-1] += f", {part}"
        else:
            lines[-1] += ","
            lines.append(HANGING + part)
    return "\n".join(lines)
