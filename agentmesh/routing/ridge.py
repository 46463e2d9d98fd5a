"""Ridge regressions, one for each agent, kept as inverses that every outcome updates in place."""

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.routing.ledger import part
from agentmesh.routing.state import Arrays
from agentmesh.types import FloatArray, IndexArray, VectorArray


class RidgeRegressions:
    """Keeps A^-1 and b of each agent, with A = ridge I + sum_i w_i x_i x_i' and b = sum_i w_i y_i x_i.

    An outcome costs O(k^2) by the formula of Sherman and Morrison:
    ``(A + w x x')^-1 = A^-1 - w (A^-1 x)(A^-1 x)' / (1 + w x' A^-1 x)``.

    Memory: 8 k^2 bytes an agent.
    """

    def __init__(self, width: int, ridge: float) -> None:
        """Start with no agent; ``width`` is k, the length of x."""
        self.width, self.ridge, self.agents = width, ridge, 0
        self._inverses = np.zeros((0, width, width))  # (capacity, k, k)
        self._targets = np.zeros((0, width))  # (capacity, k)

    def fit(self, rows: FloatArray, values: FloatArray) -> None:
        """Regress each column of ``values``, (m, agents) with NaN for unknown, on ``rows``, (m, k)."""
        self.reserve(values.shape[1])
        inverses: dict[bytes, FloatArray] = {}  # agents observed on the same tasks share theirs
        for column in range(values.shape[1]):
            known = ~np.isnan(values[:, column])
            seen = rows[known]
            if known.tobytes() not in inverses:
                moments = self.ridge * np.eye(self.width) + seen.T @ seen
                inverses[known.tobytes()] = np.linalg.inv(moments).astype(np.float64)
            self._inverses[column] = inverses[known.tobytes()]
            self._targets[column] = values[known, column] @ seen

    def update(self, column: int, x: FloatArray, value: float, weight: float) -> None:
        """Learn one outcome of weight above 0."""
        self.reserve(column + 1)
        inverse = self._inverses[column]
        along = inverse @ x
        inverse -= np.outer(along, along * (weight / (1.0 + weight * float(x @ along))))
        self._targets[column] += (weight * value) * x

    def forget(self, column: int) -> None:
        """Start an agent afresh."""
        if column < self.agents:
            self._inverses[column], self._targets[column] = np.eye(self.width) / self.ridge, 0.0

    def predict(self, x: FloatArray, guesses: FloatArray, columns: IndexArray) -> tuple[FloatArray, FloatArray]:
        """Return the values at ``x`` of regressions that start from ``guesses``, and x' A^-1 x.

        Shapes:
            x: (k,). guesses: (n, k), the weights that the ridge holds on to. columns: (n,), beyond the last for an
            agent of which nothing is known. Returns (n,) and (n,).
        """
        along = np.vstack([self._inverses[: self.agents] @ x, x / self.ridge])
        targets = np.vstack([self._targets[: self.agents], np.zeros(self.width)])
        places = np.minimum(columns, self.agents)
        taken = along[places]
        return np.einsum("ak,ak->a", taken, targets[places] + self.ridge * guesses), taken @ x

    def reserve(self, agents: int) -> None:
        """Make room for so many agents."""
        self.agents = max(self.agents, agents)
        capacity = len(self._inverses)
        if agents > capacity:
            more = max(agents, 2 * capacity) - capacity
            fresh: FloatArray = np.tile(np.eye(self.width) / self.ridge, (more, 1, 1))
            self._inverses = np.concatenate([self._inverses, fresh])
            self._targets = np.concatenate([self._targets, np.zeros((more, self.width))])

    def arrays(self) -> Arrays:
        """Return the state by name."""
        return {"inverses": self._inverses[: self.agents], "targets": self._targets[: self.agents]}

    @classmethod
    def load(cls, width: int, ridge: float, arrays: Arrays) -> "RidgeRegressions":
        """Undo :meth:`arrays`.

        Raises:
            ConfigError: a part is missing or of another width.
        """
        inverses, targets = part(arrays, "inverses"), part(arrays, "targets")
        if inverses.shape != (len(targets), width, width) or targets.shape[1:] != (width,):
            raise ConfigError(f"regressions of {inverses.shape!r} and {targets.shape!r} do not fit a width of {width}")
        loaded = cls(width, ridge)
        loaded.agents, loaded._inverses, loaded._targets = len(targets), inverses.copy(), targets.copy()
        return loaded


def main_directions(rows: VectorArray, count: int) -> VectorArray:
    """Return the ``count`` directions in which ``rows`` vary most, their principal components, (d, count) float32.

    Shapes:
        rows: (m, d), m >= 1 and d >= count.

    >>> main_directions(np.array([[3, 0], [-3, 0], [0, 1], [0, -1]], np.float32), 1).round(3).tolist()
    [[1.0], [0.0]]
    """
    centred = (rows - rows.mean(axis=0)).astype(np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)  # rising
    main = directions[:, ::-1][:, :count]
    signs = np.sign(main[np.abs(main).argmax(axis=0), np.arange(count)])  # a direction and its opposite are the same
    return np.ascontiguousarray(main * signs, dtype=np.float32)
