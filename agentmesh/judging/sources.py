"""Who scored an answer, and whose score counts.

Sources in order: a verifier decides by rule, a user knows what was wanted, a judge guesses.
"""

from collections.abc import Sequence

from agentmesh.records import Feedback

_RANKS = {"verifier": 0, "judge": 2}
_OTHERS = 1
"""A user, and whatever other name a caller scores under."""


def source_kind(source: str) -> str:
    """Return the kind of a source: its name up to the first ":".

    >>> source_kind("verifier:exact"), source_kind("user")
    ('verifier', 'user')
    """
    return source.partition(":")[0]


def rank(source: str) -> int:
    """Return a source's place in the order of sources; a lower one is better.

    >>> rank("verifier:exact") < rank("user") < rank("judge:small")
    True
    """
    return _RANKS.get(source_kind(source), _OTHERS)


def best_score(scores: Sequence[Feedback]) -> float | None:
    """Return the mean score of the best source among ``scores``, ``None`` where there is none.

    >>> given = [("user", 1.0), ("user", 0.5), ("judge:small", 0.0)]
    >>> best_score([Feedback(run_id="r", score=score, source=source, at=0) for source, score in given])
    0.75
    """
    best = min((rank(score.source) for score in scores), default=0)
    counted = [score.score for score in scores if rank(score.source) == best]
    return sum(counted) / len(counted) if counted else None
