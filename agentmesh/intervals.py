"""How sure a share or a mean is."""

from math import sqrt


def wilson(successes: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """Return the interval that holds the true share of successes, by default with 95 % confidence.

    Rule: the shares p for which ``successes / n`` lies within z standard errors sqrt(p (1 - p) / n) of p. Unlike the
    mean with its own standard error it is of use at small n and near 0 and 1. For qualities between 0 and 1 the mean is
    taken for the share: their variance is at most that of successes and failures, so the interval is wide enough.

    Reference: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22, 1927.

    Args:
        successes: 0 to n; not whole where outcomes are graded.
        n: How many were observed; with 0 nothing is known, and the interval is (0, 1).
        z: Standard errors; 1.96 for 95 %.

    >>> [round(bound, 3) for bound in wilson(8, 10)]
    [0.49, 0.943]
    """
    if n <= 0:
        return 0.0, 1.0
    share, squared = successes / n, z * z
    middle = (share + squared / (2 * n)) / (1 + squared / n)
    half = z * sqrt(max(share * (1 - share), 0.0) / n + squared / (4 * n * n)) / (1 + squared / n)
    return max(0.0, middle - half), min(1.0, middle + half)
