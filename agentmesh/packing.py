"""Arrays as bytes inside records: bit for bit, and base64 in JSON."""

import base64
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, PlainSerializer

if TYPE_CHECKING:
    from types import ModuleType

    from agentmesh.arrays import FloatArray, VectorArray


def _unpack(value: object) -> object:
    return base64.b64decode(value) if isinstance(value, str) else value


PackedFloats = Annotated[
    bytes,
    BeforeValidator(_unpack),
    PlainSerializer(lambda raw: base64.b64encode(raw).decode("ascii"), return_type=str, when_used="json"),
]
"""Little-endian float64 values as raw bytes; base64 in JSON."""


def pack_floats(values: "FloatArray") -> bytes:
    """Return ``values`` as little-endian float64 bytes, bit for bit."""
    return _packed(values, "<f8")


def unpack_floats(raw: bytes) -> "FloatArray":
    """Undo :func:`pack_floats`.

    >>> import numpy as np
    >>> unpack_floats(pack_floats(np.array([0.5, 2.0]))).tolist()
    [0.5, 2.0]
    """
    unpacked: FloatArray = _numpy().frombuffer(raw, dtype="<f8")
    return unpacked


PackedVector = PackedFloats
"""An embedding as little-endian float32 bytes, which is what embedders give; base64 in JSON."""


def pack_vector(vector: "VectorArray") -> bytes:
    """Return an embedding, or rows of them, as little-endian float32 bytes, bit for bit."""
    return _packed(vector, "<f4")


def unpack_vector(raw: bytes) -> "VectorArray":
    """Undo :func:`pack_vector`.

    >>> import numpy as np
    >>> unpack_vector(pack_vector(np.array([0.5, 2.0], dtype=np.float32))).tolist()
    [0.5, 2.0]
    """
    unpacked: VectorArray = _numpy().frombuffer(raw, dtype="<f4")
    return unpacked


def _packed(values: "FloatArray | VectorArray", kind: str) -> bytes:
    packed: bytes = _numpy().ascontiguousarray(values, dtype=kind).tobytes()
    return packed


def _numpy() -> "ModuleType":
    """Load numpy when an array is first packed or unpacked: most who read records leave the bytes as they are."""
    return import_module("numpy")
