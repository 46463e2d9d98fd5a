"""What the content of a task says about each agent: logistic regressions that learn one outcome at a time."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agentmesh.errors import ConfigError
from agentmesh.routing.ledger import part
from agentmesh.types import FloatArray, IndexArray, VectorArray

VECTOR_SCALE: Final = 8.0
"""Brings unit vectors to the size of the constant 1 beside them, as in the other routers."""
SETTLED: Final = 50.0
"""Outcomes of an agent after which its steps are down to 1/sqrt(2) of the first."""
SETTLED_ALL: Final = 500.0
"""The same for what agents share."""
CARD_WEIGHT: Final = 4.0
"""Log-odds that one unit of cosine between card and task is worth before outcomes say more: at odds of one to one this
is a gain of 1.0 in quality, as in a guess from the card alone (``priors.CARD_GAIN``)."""
PRICE_WEIGHT: Final = 0.6
"""Log-odds that one standard deviation of log price is worth at first; see ``priors.PRICE_GAIN``."""
SHARED_RATE: Final = 0.05
CARD_SCALE: Final = 20.0  # cosines differ by a tenth where prices differ by one; chosen with SHARED_RATE on clinc150
DIFFICULTY_RATE: Final = 0.3
SETTLED_DIFFICULTY: Final = 200.0


class ContentTerm:
    """Predicts each agent's quality from the task's vector and the agent's card, learning online.

    Rule: the log-odds that agent j does well on a task with vector x are::

        card * cos_j(x) + price * standing_j + constant + w_j . (8 x, 1)

    where cos_j is the cosine of card and task beside the average card, standing_j the log price in standard deviations
    beside the average, ``card``, ``price`` and ``constant`` are shared by all agents, and w_j is the agent's own, zero
    at first. An outcome moves them by the gradient of the log-likelihood, the own weights by a step that is normalised
    to the length of the features and falls with 1/sqrt(outcomes of the agent).

    Beside it stands the difficulty of a task, one such regression that all agents share: it explains what is good or
    bad about a task for everybody, so that it is not mistaken for the doing of the agent that happened to be called.

    Reference: Nagumo and Noda, normalised LMS, 1967, for the step; online logistic regression with bandit feedback.

    Args:
        rate: The first step of an agent, 0 (never learn) to 2.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._weights: VectorArray = np.zeros((0, 0), np.float32)  # (agents, d + 1)
        self._counts: FloatArray = np.zeros(0)
        self._shared: FloatArray = np.array([CARD_WEIGHT, PRICE_WEIGHT, 0.0])
        self._difficulty: VectorArray = np.zeros(0, np.float32)
        self._steps = 0.0

    def check(self, vector: VectorArray) -> None:
        """Refuse a vector of another length than those learned from.

        Raises:
            ConfigError: it has another length.
        """
        if len(self._difficulty) not in (0, len(vector) + 1):
            known = len(self._difficulty) - 1
            raise ConfigError(f"a task vector has length {len(vector)!r}, past ones had {known}; use the same embedder")

    def logits(self, vector: VectorArray, card: FloatArray, price: FloatArray, columns: IndexArray) -> FloatArray:
        """Return the log-odds of each agent, (n,).

        Shapes:
            card, price: (n,) cosine and log price beside the average; columns: (n,) the agents' rows, any number from
            the count of known agents up for one that is not known.
        """
        total: FloatArray = self._shared[0] * card + self._shared[1] * price + self._shared[2]
        known = len(self._weights)
        if known:
            own = self._weights[:, :-1] @ (vector * np.float32(VECTOR_SCALE)) + self._weights[:, -1]
            total = total + np.append(own, np.float32(0.0))[np.minimum(columns, known)]
        return total

    def logit(self, vector: VectorArray, card: float, price: float, column: int) -> float:
        """Return the log-odds of one agent, as :meth:`logits` does."""
        total = float(self._shared[0]) * card + float(self._shared[1]) * price + float(self._shared[2])
        if column >= len(self._weights):
            return total
        own = self._weights[column]
        return total + float(own[:-1] @ vector) * VECTOR_SCALE + float(own[-1])

    def difficulty(self, vector: VectorArray) -> float:
        """Return the log-odds that this task adds for every agent."""
        if not len(self._difficulty):
            return 0.0
        return float(self._difficulty[:-1] @ vector) * VECTOR_SCALE + float(self._difficulty[-1])

    def learn(self, vector: VectorArray, column: int, *, error: float, card: float, price: float) -> None:
        """Move the agent's own weights and the shared ones by ``error``: quality minus prediction, times evidence."""
        features = self._features(vector)
        self._widen(column + 1, len(features))
        self._counts[column] += 1.0
        settled = np.sqrt(1.0 + self._counts[column] / SETTLED)
        self._weights[column] += np.float32(self._rate * error / settled / float(features @ features)) * features
        shared = SHARED_RATE * error / float(np.sqrt(1.0 + self._steps / SETTLED_ALL))
        self._shared += (shared * CARD_SCALE * card, shared * price, shared)

    def learn_row(self, vector: VectorArray, columns: IndexArray, errors: FloatArray) -> None:
        """Move the own weights of several agents that were all seen on one task.

        Shapes:
            columns, errors: (s,) quality minus prediction.
        """
        if not len(columns):
            return
        features = self._features(vector)
        self._widen(int(columns.max()) + 1, len(features))
        self._counts[columns] += 1.0
        steps = self._rate * errors / np.sqrt(1.0 + self._counts[columns] / SETTLED) / float(features @ features)
        self._weights[columns] += np.outer(steps.astype(np.float32), features)
        shared = SHARED_RATE * float(errors.mean()) / np.sqrt(1.0 + self._steps / SETTLED_ALL)
        self._shared[2] += shared

    def learn_difficulty(self, vector: VectorArray, error: float) -> None:
        """Move the difficulty by ``error``: quality minus prediction, times evidence."""
        features = self._features(vector)
        if not len(self._difficulty):
            self._difficulty = np.zeros(len(features), np.float32)
        rate = DIFFICULTY_RATE / np.sqrt(1.0 + self._steps / SETTLED_DIFFICULTY)
        self._difficulty += np.float32(rate * error / float(features @ features)) * features
        self._steps += 1.0

    def wake(self, column: int) -> None:
        """Let an agent learn in large steps again, since what it was is no more what it is."""
        if column < len(self._counts):
            self._counts[column] = 0.0

    def drop(self, column: int) -> None:
        """Forget an agent's own weights."""
        if column < len(self._counts):
            self._weights[column], self._counts[column] = 0.0, 0.0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all numbers, for a router's state."""
        return {
            "content": self._weights,
            "content_counts": self._counts,
            "content_shared": np.append(self._shared, self._steps),
            "difficulty": self._difficulty,
        }

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what :meth:`arrays` returned.

        Raises:
            ConfigError: the parts do not fit together.
        """
        names = ("content", "content_counts", "content_shared", "difficulty")
        weights, counts, shared, difficulty = (part(arrays, name) for name in names)
        fit = weights.ndim == 2 and counts.shape == weights.shape[:1] and difficulty.ndim == 1
        if not fit or shared.shape != (4,) or (len(weights) and difficulty.shape != weights.shape[1:]):
            raise ConfigError(f"content weights of {weights.shape!r} do not fit counts of {counts.shape!r}")
        self._weights, self._counts, self._difficulty = weights.copy(), counts.copy(), difficulty.copy()
        self._shared, self._steps = shared[:3].copy(), float(shared[3])

    def _features(self, vector: VectorArray) -> VectorArray:
        features = np.empty(len(vector) + 1, np.float32)
        np.multiply(vector, np.float32(VECTOR_SCALE), out=features[:-1])
        features[-1] = 1.0
        return features

    def _widen(self, agents: int, width: int) -> None:
        known = len(self._weights)
        if agents > known:
            self._weights = np.vstack([self._weights.reshape(-1, width), np.zeros((agents - known, width), np.float32)])
            self._counts = np.append(self._counts, np.zeros(agents - known))
