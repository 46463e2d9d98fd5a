"""Cosines with rows of vectors, and rows scaled to length 1."""

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.types import FloatArray, VectorArray


def cosines(rows: VectorArray, vector: VectorArray) -> FloatArray:
    """Return the dot product of each row with ``vector``, the same for a row wherever it stands.

    A matrix product rounds a row by its place in a block, so equal agents would not tie; a sum for each row does not.

    Shapes:
        rows: (n, d) unit rows. vector: (d,) unit or zeros. Returns (n,).

    Raises:
        ConfigError: the two are of different embedders.

    >>> cosines(np.array([[1.0, 0.0], [0.6, 0.8]], dtype=np.float32), np.array([0.6, 0.8], dtype=np.float32)).round(3)
    array([0.6, 1. ])
    """
    if rows.shape[1] != len(vector):
        raise ConfigError(
            f"a task vector of {len(vector)!r} numbers was given; expected {rows.shape[1]!r} as capability vectors have"
        )
    return np.asarray(np.vecdot(rows, vector), dtype=np.float64)


def unit(rows: FloatArray) -> VectorArray:
    """Return rows scaled to length 1 as float32, shape (n, d); a row of zeros stays one."""
    lengths = np.sqrt(np.vecdot(rows, rows))[:, None]
    scaled = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return np.asarray(scaled, dtype=np.float32)
