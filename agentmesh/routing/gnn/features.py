"""What the GNN reads of a task and of an agent's card, as arrays: the same for training and for serving."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from agentmesh.routing.inputs import AgentPool
from agentmesh.routing.prices import ASSUMED_OUTPUT_TOKENS, CHARACTERS_PER_TOKEN, PER_MILLION
from agentmesh.routing.priors import price_standing
from agentmesh.types import FloatArray, VectorArray

SCALE: Final = 4.0
"""What unit vectors are stretched by, so that single numbers of 384 are of the size of the first weights."""

GRAM_SCALE: Final = np.float32(4.0)  # of hashed words in the wide part, as in LinearRouter

SOLVED: Final = 0.5
"""The least quality of a task that an agent solved; below, it failed."""

TYPICAL_CHARACTERS: Final = 400.0  # a prompt of a hundred tokens: standings compare agents, not tasks
LONGEST: Final = 10.0  # log(1 + characters) of a long prompt, about 22,000 characters


def task_features(vectors: VectorArray, lengths: Sequence[int]) -> VectorArray:
    """Return what is read of tasks: the vector, stretched, and the logarithm of the text's length.

    Shapes:
        vectors: (b, d); lengths: b counts of characters. Returns (b, d + 1) float32.
    """
    long = np.log1p(np.asarray(lengths, dtype=np.float64))[:, None] / LONGEST
    return np.hstack([SCALE * vectors, long]).astype(np.float32)


def card_features(pool: AgentPool) -> VectorArray:
    """Return what is read of cards: the vector, stretched, how dear the agent is, and whether its price is known.

    Shapes:
        returns (n, d + 2) float32.
    """
    priced = typical_cost(pool)
    known = np.isfinite(priced)
    beside = np.stack([price_standing(priced), known], axis=1)
    return np.hstack([SCALE * pool.vectors, beside]).astype(np.float32)


def typical_cost(pool: AgentPool) -> FloatArray:
    """Return what each agent would cost for a typical task by its card, (n,) US dollars, NaN where unknown."""
    read = TYPICAL_CHARACTERS / CHARACTERS_PER_TOKEN
    by_tokens = (pool.price_in_per_m * read + pool.price_out_per_m * ASSUMED_OUTPUT_TOKENS) / PER_MILLION
    return np.where(np.isnan(pool.price_per_call), by_tokens, pool.price_per_call)
