"""What another policy would have brought, estimated from a log of what one policy did.

In run i the other policy picks agent a with chance pi_ia, which may be spread over several agents, and picks nobody
with what is left to 1. The log knows p_ia, the chance with which a was asked, and y_ia, what came of it, for those who
were. An observed outcome weighs w_ia = pi_ia / p_ia. To pick nobody is worth 0, which is known without asking.

- **replay**: the mean of y over the runs where the outcome of each pick is known. It is printed where that is nearly
  all of them; on fewer it would be the mean of runs that are like one another.
- **snips**, self-normalised inverse propensity: sum(w y) / sum(w).
- **doubly_robust**: with a model f of the outcomes that has not seen the run, the mean over all runs of
  sum_a pi_ia f_ia, plus sum(w (y - f)) / sum(w). It is right where the chances are, or the model is.

Intervals are those of the mean of each run's influence on the value, every influence taken as if the run were left out
of the weights (a jackknife), with 95 % of Student's t for as many degrees of freedom as runs are effective. The
effective sample size is Kish's, sum(w)^2 / sum(w^2) over runs.

Nothing is estimated without support: where too large a share of the picks was never asked or never scored, where the
effective sample size is too small, or where the one to expect from the logged chances is. The last one matters: when
none of a few rare and heavy outcomes happened to be drawn, all weights look alike, and are wrong.

Reference: Swaminathan and Joachims, The self-normalized estimator for counterfactual learning, NIPS 2015; Dudik,
Langford and Li, Doubly robust policy evaluation and learning, ICML 2011; Kish, Survey sampling, 1965.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from agentmesh.learning.resampling import Interval
from agentmesh.records import Record
from agentmesh.types import FloatArray, IndexArray, MaskArray

Method: TypeAlias = Literal["replay", "snips", "doubly_robust"]
Bounds: TypeAlias = tuple[float, float]

LEAST_EFFECTIVE: Final = 50.0
"""Runs that an estimate must be worth: chosen by judgement, so that no interval rests on a handful of them."""

MOST_UNSUPPORTED: Final = 0.05
"""Share of the picks of which nothing is known: a quality may be off by as much, whatever the interval says."""

NORMAL: Final = 1.959964  # 97.5 % of the standard normal distribution
WHOLE: Final = 1.0 - 1e-9


class PolicyValue(Record):
    """What a policy would have brought, a run, by one method.

    ``interval`` is that of 95 %. ``known`` is how many runs counted, and ``effective`` how many equally weighted ones
    they are worth. ``gain`` is the value less that of what was done, with its own, paired interval.
    """

    method: Method
    value: float
    interval: Interval
    standard_error: float
    known: int
    effective: float
    gain: float | None = None
    gain_interval: Interval | None = None


class Measure(Record):
    """One thing that outcomes are measured by, and what the other policy would have brought of it.

    ``logged`` is the mean of what was done, over the ``scored`` runs where it is known. ``estimates`` are empty where
    ``refusal`` says why. ``unsupported`` is the share of the picks of which the log cannot know.
    """

    name: str
    logged: float | None
    scored: int
    unsupported: float
    estimates: tuple[PolicyValue, ...] = ()
    refusal: str = ""

    @property
    def best(self) -> PolicyValue | None:
        """Return the estimate to trust first: replay where there is one, else the doubly robust one."""
        return next((one for one in self.estimates if one.method != "snips"), None)


@dataclass(frozen=True, slots=True)
class Table:
    """A log as arrays, one column an agent that any of its runs knew.

    Shapes:
        policy: (m, n) chance that the other policy picks the agent. chance: (m, n) logged chance that it was asked, NaN
        where unknown. done: (m,) int64, column of the agent first drawn, -1 for nobody.
    """

    policy: FloatArray
    chance: FloatArray
    done: IndexArray

    @property
    def nobody(self) -> FloatArray:
        """Return the chance that the other policy picks nobody, (m,)."""
        left: FloatArray = np.maximum(1.0 - self.policy.sum(axis=1), 0.0)
        return left


@dataclass(frozen=True, slots=True)
class Valued:
    """A value with the influence of each run on it. Shapes: influence (m,)."""

    method: Method
    value: float
    influence: FloatArray
    known: int
    effective: float

    def less(self, other: "Valued") -> "Valued":
        """Return the difference of two values of the same runs; what is said of the runs is this one's."""
        influence = self.influence - other.influence
        return Valued(self.method, self.value - other.value, influence, self.known, self.effective)

    def spread(self, span: float = 0.0) -> tuple[float, Interval]:
        """Return the standard error and the 95 % interval.

        Args:
            span: How far apart outcomes may lie. Where all that were drawn are alike, others may yet be among those
                that were not: one more outcome, ``span`` away, is counted on at least.
        """
        error = float(np.sqrt(self.influence @ self.influence)) / len(self.influence)
        error = max(error, span / max(self.effective, 1.0))
        reach = quantile(self.effective - 1.0) * error
        return error, (self.value - reach, self.value + reach)


def quantile(freedom: float) -> float:
    """Return about the 97.5 % quantile of Student's t distribution, for 3 degrees of freedom and more.

    Reference: the expansion of Fisher and Cornish, The percentile points of distributions, Technometrics, 1960.

    >>> round(quantile(10), 2), round(quantile(1e9), 3)
    (2.23, 1.96)
    """
    z, nu = NORMAL, max(freedom, 3.0)
    return z + (z**3 + z) / (4 * nu) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * nu**2)


def measured(
    name: str,
    table: Table,
    outcomes: FloatArray,
    expected: FloatArray,
    *,
    clip: float | None = None,
    bounds: Bounds | None = None,
) -> Measure:
    """Return what the other policy would have brought, or why that cannot be said.

    Args:
        name: What the outcomes are.
        table: The log.
        outcomes: What came of those who were asked.
        expected: What a model expects, that has not seen the run.
        clip: The most that an outcome may weigh; by default there is no bound, which would be a bias.
        bounds: What an outcome is at least and at most, where that is known.

    Shapes:
        outcomes: (m, n), NaN where not known. expected: (m, n).
    """
    done = done_value(table, outcomes)
    lost = unsupported(table, outcomes)
    why = refusal(table, outcomes, clip=clip)
    values = [] if why else valued(table, outcomes, expected, clip=clip)
    return Measure(
        name=name,
        logged=None if done is None else done.value,
        scored=0 if done is None else done.known,
        unsupported=round(lost, 6),
        estimates=tuple(told(one, done, bounds=bounds) for one in values),
        refusal=why,
    )


def told(value: Valued, done: Valued | None = None, *, bounds: Bounds | None = None) -> PolicyValue:
    """Return a value as a record, with its gain over what was done."""
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    span = 0.0 if bounds is None else high - low
    error, interval = value.spread(span)
    gain = None if done is None else value.less(done)
    return PolicyValue(
        method=value.method,
        value=min(max(value.value, low), high),
        interval=(max(interval[0], low), min(interval[1], high)),
        standard_error=error,
        known=value.known,
        effective=round(value.effective, 3),
        gain=None if gain is None else gain.value,
        gain_interval=None if gain is None else gain.spread(span)[1],
    )


def done_value(table: Table, outcomes: FloatArray) -> Valued | None:
    """Return the mean of what was done; ``None`` where nothing is known of it. Who asked nobody got 0."""
    rows = np.arange(len(outcomes))
    got = np.where(table.done >= 0, outcomes[rows, table.done], 0.0)
    seen = np.isfinite(got)
    known = int(seen.sum())
    if not known:
        return None
    value = float(got[seen].mean())
    influence = np.where(seen, got - value, 0.0) * (len(got) / known)
    return Valued("replay", value, influence, known, float(known))


def valued(table: Table, outcomes: FloatArray, expected: FloatArray, *, clip: float | None = None) -> list[Valued]:
    """Return the value by each method that has something to say; ask :func:`refusal` first."""
    weights = weights_of(table, outcomes, clip=clip)
    known = replayed(table, outcomes)
    return [
        *([] if known is None else [known]),
        snips(table, outcomes, weights),
        robust(table, outcomes, expected, weights),
    ]


def weights_of(table: Table, outcomes: FloatArray, *, clip: float | None = None) -> FloatArray:
    """Return the weight of each observed outcome, 0 elsewhere, (m, n)."""
    seen = _seen(table, outcomes)
    weights: FloatArray = np.divide(table.policy, table.chance, out=np.zeros(outcomes.shape), where=seen)
    return weights if clip is None else np.minimum(weights, clip)


def _seen(table: Table, outcomes: FloatArray) -> MaskArray:
    return np.isfinite(outcomes) & (np.nan_to_num(table.chance) > 0)


def replayed(table: Table, outcomes: FloatArray) -> Valued | None:
    """Return the mean over the runs where all picks are known, ``None`` where that is not nearly all of them."""
    seen = np.isfinite(outcomes)
    known = (table.policy * seen).sum(axis=1) + table.nobody >= WHOLE
    count = int(known.sum())
    if count < (1.0 - MOST_UNSUPPORTED) * len(outcomes):
        return None
    got = (table.policy * np.where(seen, outcomes, 0.0)).sum(axis=1)
    value = float(got[known].mean())
    influence = np.where(known, got - value, 0.0) * (len(got) / count)
    return Valued("replay", value, influence, count, float(count))


def snips(table: Table, outcomes: FloatArray, weights: FloatArray) -> Valued:
    """Return the self-normalised inverse propensity estimate."""
    mine = weights.sum(axis=1) + table.nobody
    worth = (weights * np.where(weights > 0, outcomes, 0.0)).sum(axis=1)
    value = float(worth.sum() / mine.sum())
    return Valued("snips", value, _influence(worth, mine, value), int((mine > 0).sum()), kish(mine))


def robust(table: Table, outcomes: FloatArray, expected: FloatArray, weights: FloatArray) -> Valued:
    """Return the doubly robust estimate, its correction self-normalised."""
    mine = weights.sum(axis=1) + table.nobody
    hoped = (table.policy * expected).sum(axis=1)
    surprise = (weights * np.where(weights > 0, outcomes - expected, 0.0)).sum(axis=1)
    correction = float(surprise.sum() / mine.sum())
    influence = hoped - hoped.mean() + _influence(surprise, mine, correction)
    return Valued("doubly_robust", float(hoped.mean()) + correction, influence, int((mine > 0).sum()), kish(mine))


def _influence(worth: FloatArray, mine: FloatArray, value: float) -> FloatArray:
    total = float(mine.sum())
    left: FloatArray = np.maximum(1.0 - mine / total, 1e-6)
    influence: FloatArray = (worth - value * mine) * (len(mine) / total) / left
    return influence


def kish(weights: FloatArray) -> float:
    """Return the effective sample size of weights.

    >>> kish(np.array([1.0, 1.0, 0.0])), round(kish(np.array([3.0, 1.0])), 2)
    (2.0, 1.6)
    """
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def unsupported(table: Table, outcomes: FloatArray) -> float:
    """Return the share of the picks that were never asked, or of whose agent no outcome is known at all."""
    possible = (np.nan_to_num(table.chance) > 0) & _seen(table, outcomes).any(axis=0)
    return float((table.policy * ~possible).sum() / max(len(outcomes), 1))


def expected_effective(table: Table, outcomes: FloatArray, *, clip: float | None = None) -> float:
    """Return the effective sample size to expect by the logged chances, whatever happened to be drawn.

    Rule: a run counts with sum_a pi_a^2 / p_a, the mean of its squared weight.
    """
    scored = np.isfinite(outcomes).any(axis=1) | (table.nobody >= WHOLE)
    possible = np.nan_to_num(table.chance) > 0
    weight = np.divide(table.policy, table.chance, out=np.zeros(outcomes.shape), where=possible)
    if clip is not None:
        weight = np.minimum(weight, clip)
    square = float(((table.policy * weight).sum(axis=1) + table.nobody).mean()) if len(outcomes) else 0.0
    return float(scored.sum()) / square if square > 0 else 0.0


def refusal(table: Table, outcomes: FloatArray, *, clip: float | None = None) -> str:
    """Return why nothing can be estimated, and what to do; "" where it can be."""
    if not np.isfinite(outcomes).any():
        return "no outcome is known of any run; give feedback, or have answers scored by a verifier or a judge"
    lost = unsupported(table, outcomes)
    if lost > MOST_UNSUPPORTED:
        return (
            f"{lost:.1%} of its picks were never asked then, or never scored, where {MOST_UNSUPPORTED:.0%} may be; "
            "record runs with explore above 0, so that every agent is asked now and then, and score them"
        )
    mine = weights_of(table, outcomes, clip=clip).sum(axis=1) + table.nobody
    effective = min(kish(mine), expected_effective(table, outcomes, clip=clip))
    if effective < LEAST_EFFECTIVE:
        return (
            f"what is known is worth {effective:.1f} runs, where {LEAST_EFFECTIVE:.0f} are needed: its picks were "
            "asked too rarely; record more runs, or explore more"
        )
    return ""


def best_alone(
    table: Table, outcomes: FloatArray, expected: FloatArray, allowed: MaskArray, *, clip: float | None = None
) -> tuple[int, Sequence[Valued]] | None:
    """Return the agent that would have brought most if it alone had been asked, and its values by each method.

    Only agents with support are looked at; ``None`` where there is none.

    Shapes:
        allowed: (m, n) True where the agent was there and passed the gates.
    """
    found: tuple[int, Sequence[Valued]] | None = None
    for column in range(outcomes.shape[1]):
        policy = np.zeros(outcomes.shape)
        policy[:, column] = allowed[:, column]
        alone = Table(policy, table.chance, table.done)
        if refusal(alone, outcomes, clip=clip):
            continue
        values = valued(alone, outcomes, expected, clip=clip)
        if found is None or values[-1].value > found[1][-1].value:
            found = column, values
    return found
