"""A fitted plan of a team: after the answers of some agents, whom to ask next, or that it is enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.frozen import Record
from agentmesh.packing import PackedFloats, pack_floats, unpack_floats
from agentmesh.routing.team.table import TeamTable
from agentmesh.routing.team.verdict import Verdict, judge, log_odds, worth
from agentmesh.types import AgentId, FloatArray, IndexArray, MaskArray

Asked = tuple[int, ...]
"""The places of the agents that were asked, rising."""

FLAT: Final = 1e-9
LEAST_USD: Final = 1e-9  # so that what is free has a logarithm


class PlanState(Record):
    """What the plan knows of one set of agents that were asked.

    Shapes:
        vote: (3 s + 2,) float64 packed, the weights of :func:`~agentmesh.routing.team.verdict.judge`; empty for s = 0.
        low, high: (c,) the range of the signals while learning, which is where they are kept; centre, spread: (c,) of
            the signals; centre_squared, spread_squared: (w,) of these with their products.
        gains: (actions, w + 1) row by row; an action is to ask one more agent.
    """

    asked: Asked
    vote: PackedFloats = b""
    actions: Asked = ()
    low: PackedFloats = b""
    high: PackedFloats = b""
    centre: PackedFloats = b""
    spread: PackedFloats = b""
    centre_squared: PackedFloats = b""
    spread_squared: PackedFloats = b""
    gains: PackedFloats = b""


class TeamPlan(Record):
    """Whom to ask next, learned. ``usd_price`` is the quality that a US dollar must bring: the higher, the thriftier.

    Reference: Longstaff and Schwartz, Valuing American options by simulation, 2001: going on is valued by regression,
    backward from the end. :mod:`agentmesh.routing.team.fitting` makes one.
    """

    agents: tuple[AgentId, ...]
    usd_price: float
    states: tuple[PlanState, ...]

    def state(self, asked: Sequence[int]) -> PlanState:
        """Return what is known of a set of agents.

        Raises:
            ConfigError: the plan has no such set.
        """
        wanted = tuple(sorted(asked))
        for state in self.states:
            if state.asked == wanted:
                return state
        raise ConfigError(f"a plan of {len(self.agents)} agents has no state {wanted!r}")


@dataclass(frozen=True, slots=True)
class Move:
    """What to do next. ``agent`` is ``None`` to stop; ``gain`` is what asking it is worth, less its price.

    ``agreement`` is the probability that the leading answer is right, 0 before the first.
    """

    agent: AgentId | None
    gain: float
    agreement: float


@dataclass(frozen=True, slots=True)
class Walk:
    """What came of a plan on a table.

    Shapes:
        quality, cost: (m,). asked: (m, k). first: (m,) the place of the agent that was asked first.
    """

    quality: FloatArray
    cost: FloatArray
    asked: MaskArray
    first: IndexArray

    @property
    def mean_agents(self) -> float:
        """Return how many agents were asked in the mean."""
        return float(self.asked.sum(axis=1).mean())


def verdict_of(table: TeamTable, state: PlanState) -> Verdict:
    """Say what the answers of a state's agents say; before any, nothing is known."""
    if not state.asked:
        none = np.zeros(len(table))
        return Verdict(np.full(len(table), -1), none, none, none)
    return judge(table, state.asked, unpack_floats(state.vote))


def signals(table: TeamTable, asked: Asked, verdict: Verdict) -> FloatArray:
    """Return what a gain is regressed on.

    They are how sure the leading answer is, what the router expected of every agent, and, as a sign of how hard the
    task is, by how much more each answer cost than was expected; before any answer, what is expected and its price.

    Shapes:
        returns (m, k + s + 5), or (m, 2 k) before any answer.
    """
    odds, price = log_odds(table.expected), np.log(_known(table.price))
    if not asked:
        return np.hstack([odds, price])
    chances = np.stack([verdict.chance, verdict.second, verdict.nobody], axis=1)
    paid = np.nan_to_num(np.log(np.maximum(table.cost[:, asked], LEAST_USD)) - price[:, asked])
    return np.hstack([log_odds(chances), chances[:, :2], odds, paid])


def _known(price: FloatArray) -> FloatArray:
    """Return prices with the dearest known one in place of those that are not known."""
    dearest = np.nanmax(price) if np.isfinite(price).any() else LEAST_USD
    return np.maximum(np.where(np.isnan(price), dearest, price), LEAST_USD)


def with_products(columns: FloatArray) -> FloatArray:
    """Return the columns and the products of each two, each with itself among them.

    >>> with_products(np.array([[2.0, 3.0]])).tolist()
    [[2.0, 3.0, 4.0, 6.0, 9.0]]
    """
    first, second = np.triu_indices(columns.shape[1])
    return np.hstack([columns, columns[:, first] * columns[:, second]])


def gains_of(table: TeamTable, state: PlanState, verdict: Verdict) -> FloatArray:
    """Return what asking each agent of ``state.actions`` is worth, its price taken off, (m, actions)."""
    rows = np.clip(signals(table, state.asked, verdict), unpack_floats(state.low), unpack_floats(state.high))
    rows = (rows - unpack_floats(state.centre)) / unpack_floats(state.spread)
    rows = (with_products(rows) - unpack_floats(state.centre_squared)) / unpack_floats(state.spread_squared)
    weights = unpack_floats(state.gains).reshape(len(state.actions), -1)
    return np.asarray(weights[:, 0] + rows @ weights[:, 1:].T, dtype=np.float64)


def next_move(plan: TeamPlan, table: TeamTable, asked: Sequence[int], *, allowed: MaskArray | None = None) -> Move:
    """Say what to do in one run: ``table`` has one row, and the outcomes of those not asked are not read.

    Shapes:
        allowed: (k,) False where an agent cannot be asked.
    """
    state = plan.state(asked)
    verdict = verdict_of(table, state)
    agreement = float(verdict.chance[0])
    if not state.actions:
        return Move(None, 0.0, agreement)
    gains = gains_of(table, state, verdict)[0]
    if allowed is not None:
        gains = np.where(allowed[list(state.actions)], gains, -np.inf)
    best = int(gains.argmax())
    if not np.isfinite(gains[best]) or (state.asked and gains[best] <= 0):
        return Move(None, float(gains[best]), agreement)
    return Move(plan.agents[state.actions[best]], float(gains[best]), agreement)


def walk(plan: TeamPlan, table: TeamTable) -> Walk:
    """Follow the plan on every task of a table of outcomes."""
    count, size = len(table), len(plan.agents)
    done = Walk(np.zeros(count), np.zeros(count), np.zeros((count, size), np.bool_), np.full(count, -1))
    waiting: dict[Asked, IndexArray] = {(): np.arange(count)}
    for state in sorted(plan.states, key=lambda one: len(one.asked)):
        here = waiting.pop(state.asked, np.zeros(0, np.int64))
        if len(here):
            for place, going in _step(table.rows(here), state, done, here).items():
                after = tuple(sorted((*state.asked, place)))
                done.cost[going] += table.cost[going, place]
                done.asked[going, place] = True
                waiting[after] = np.concatenate([waiting.get(after, going[:0]), going])
                if not state.asked:
                    done.first[going] = place
    return done


def _step(table: TeamTable, state: PlanState, done: Walk, here: IndexArray) -> Mapping[int, IndexArray]:
    """Settle the tasks that stop here, and return the others by the agent that is asked next."""
    verdict = verdict_of(table, state)
    going = np.zeros(len(here), np.bool_)
    best = np.zeros(len(here), np.int64)
    if state.actions:
        gains = gains_of(table, state, verdict)
        best = gains.argmax(axis=1)
        going = (gains.max(axis=1) > 0) | (not state.asked)
    if state.asked:
        stays = ~going
        done.quality[here[stays]] = worth(table, state.asked, verdict.lead)[stays]
    return {place: here[going & (best == action)] for action, place in enumerate(state.actions)}


@dataclass(slots=True)
class Scaled:
    """Signals with their products, brought to mean 0 and deviation 1, and what it took."""

    rows: FloatArray
    parts: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: FloatArray) -> "Scaled":
        """Scale the signals, multiply them out, and scale again."""
        centre, spread = raw.mean(axis=0), _spread(raw)
        products = with_products((raw - centre) / spread)
        again, wide = products.mean(axis=0), _spread(products)
        rows = (products - again) / wide
        parts = {"low": raw.min(axis=0), "high": raw.max(axis=0), "centre": centre, "spread": spread}
        parts |= {"centre_squared": again, "spread_squared": wide}
        ones = np.ones((len(rows), 1))
        return cls(np.hstack([ones, rows]), {name: pack_floats(values) for name, values in parts.items()})


def _spread(columns: FloatArray) -> FloatArray:
    spread = columns.std(axis=0)
    return np.where(spread > FLAT, spread, 1.0)
