"""A router's state as bytes: a safetensors file with arrays by name and one JSON text in its header. Never pickle."""

import json
import struct
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from agentmesh.errors import ConfigError
from agentmesh.types import JsonValue

META: Final = "agentmesh"  # one key, since safetensors writes several in no fixed order
Arrays = Mapping[str, NDArray[Any]]


def pack_state(arrays: Arrays, meta: Mapping[str, JsonValue]) -> bytes:
    """Return arrays and JSON values as one safetensors file; the same content gives the same bytes.

    >>> arrays, meta = unpack_state(pack_state({"sums": np.array([1.5, 2.0])}, {"ids": ["a", "b"]}))
    >>> arrays["sums"].tolist(), meta
    ([1.5, 2.0], {'ids': ['a', 'b']})
    """
    text = json.dumps(meta, sort_keys=True, separators=(",", ":"))
    return bytes(save({name: np.asarray(array, order="C") for name, array in arrays.items()}, metadata={META: text}))


def unpack_state(payload: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, JsonValue]]:
    """Undo :func:`pack_state`.

    Raises:
        ConfigError: ``payload`` is no such file.
    """
    try:
        arrays = load(payload)
        (length,) = struct.unpack_from("<Q", payload)
        meta = json.loads(json.loads(payload[8 : 8 + length])["__metadata__"][META])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        start = payload[:16]
        raise ConfigError(f"a router state beginning {start!r} cannot be read; expected pack_state's output") from error
    if not isinstance(meta, dict):
        raise ConfigError(f"a router state's header holds {type(meta).__name__!r}; expected a JSON object")
    return arrays, meta


def hash_parameters(name: str, parameters: Mapping[str, JsonValue], base: str = "") -> str:
    """Return 12 hexadecimal digits that name a router's parameters and the base it was fitted on.

    >>> hash_parameters("random", {})
    '8cbf35509507'
    """
    text = json.dumps([name, parameters, base], sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=6).hexdigest()
