"""Arrays as bytes inside records: bit for bit, and base64 in JSON."""

import base64
from typing import Annotated

import numpy as np
from pydantic import BeforeValidator, PlainSerializer

from agentmesh.types import FloatArray, VectorArray


def _unpack(value: object) -> object:
    return base64.b64decode(value) if isinstance(value, str) else value


PackedFloats = Annotated[
    bytes,
    BeforeValidator(_unpack),
    PlainSerializer(lambda raw: base64.b64encode(raw).decode("ascii"), return_type=str, when_used="json"),
]
"""Little-endian float64 values as raw bytes; base64 in JSON."""


def pack_floats(values: FloatArray) -> bytes:
    """Return ``values`` as little-endian float64 bytes, bit for bit."""
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def unpack_floats(raw: bytes) -> FloatArray:
    """Undo :func:`pack_floats`.

    >>> unpack_floats(pack_floats(np.array([0.5, 2.0]))).tolist()
    [0.5, 2.0]
    """
    return np.frombuffer(raw, dtype="<f8")


PackedVector = PackedFloats
"""An embedding as little-endian float32 bytes, which is what embedders give; base64 in JSON."""


def pack_vector(vector: VectorArray) -> bytes:
    """Return an embedding, or rows of them, as little-endian float32 bytes, bit for bit."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def unpack_vector(raw: bytes) -> VectorArray:
    """Undo :func:`pack_vector`.

    >>> unpack_vector(pack_vector(np.array([0.5, 2.0], dtype=np.float32))).tolist()
    [0.5, 2.0]
    """
    return np.frombuffer(raw, dtype="<f4")
