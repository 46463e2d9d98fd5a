"""What a set of named agents is worth beside the right one: a number to tune a reasoning router by."""

from collections.abc import Collection

from agentmesh.errors import ConfigError
from agentmesh.types import AgentId


def reward(
    named: Collection[AgentId], right: Collection[AgentId], *, balance: float = 0.5, excess: float = 0.1
) -> float:
    """Return the reward of naming agents.

    The rule, with A named and A* right: ``balance * |A & A*| / max(1, |A|) + (1 - balance) * |A & A*| / max(1, |A*|)
    - excess * max(|A| - |A*|, 0)``: precision, recall, and a price for each agent too many. Both sets empty is a task
    out of scope that was seen to be so: reward 1, which the rule does not cover. One of them empty is 0, less what
    is too many.

    Reference: the reward of TCAndon-Router, arXiv 2601.04544.

    Args:
        named: The agents named; naming one twice counts once.
        right: The agents that are right, empty for a task out of scope.
        balance: The weight of precision, 0 to 1; the rest is that of recall.
        excess: The price of an agent too many, 0 or more.

    Raises:
        ConfigError: an argument is out of range.

    >>> reward(["a"], ["a"]), reward(["a", "b"], ["a"]), reward([], ["a"]), reward([], [])
    (1.0, 0.65, 0.0, 1.0)
    """
    if not 0.0 <= balance <= 1.0:
        raise ConfigError(f"balance {balance!r} is out of range; expected 0 to 1")
    if not excess >= 0.0:
        raise ConfigError(f"excess {excess!r} is out of range; expected 0 or more")
    chosen, wanted = set(named), set(right)
    if not chosen and not wanted:
        return 1.0
    hits = len(chosen & wanted)
    too_many = max(len(chosen) - len(wanted), 0)
    return balance * hits / max(1, len(chosen)) + (1.0 - balance) * hits / max(1, len(wanted)) - excess * too_many
