"""What a call is expected to cost by the prices on the cards."""

from typing import Final

import numpy as np

from agentmesh.routing.inputs import AgentPool, TaskFeatures
from agentmesh.routing.objective import Estimate
from agentmesh.types import FloatArray

CHARACTERS_PER_TOKEN: Final = 4.0  # the common rule of thumb for English text
ASSUMED_OUTPUT_TOKENS: Final = 300.0  # a paragraph or two; replaced by observed costs where a router learns them
PER_MILLION: Final = 1e6


def expected_cost(features: TaskFeatures, pool: AgentPool) -> FloatArray:
    """Return the expected cost of each agent in US dollars, shape (n,), NaN where unknown.

    A price per call counts as it is. Otherwise both prices per million tokens are needed: the text's length over 4 is
    what an agent reads, and 300 tokens are what it writes.
    """
    read = len(features.text) / CHARACTERS_PER_TOKEN
    by_tokens = (pool.price_in_per_m * read + pool.price_out_per_m * ASSUMED_OUTPUT_TOKENS) / PER_MILLION
    return np.where(np.isnan(pool.price_per_call), by_tokens, pool.price_per_call)


def by_card(quality: FloatArray, features: TaskFeatures, pool: AgentPool, **factors: FloatArray) -> Estimate:
    """Return an estimate with these qualities and with the costs and latencies that the cards declare.

    Shapes:
        quality and each of ``factors``: (n,).
    """
    return Estimate(quality, cost=expected_cost(features, pool), latency=pool.latency_s, factors=factors)
