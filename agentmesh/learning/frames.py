"""What a mesh and its learning process say to each other: one order, then states, each behind a short JSON header."""

import struct
from collections.abc import Mapping
from typing import IO, Final

from pydantic import ConfigDict, Field

from agentmesh.records import Record, RouterState
from agentmesh.types import JsonValue

_LENGTH: Final = struct.Struct(">I")

_LONGEST_HEADER: Final = 2**20
"""Bytes: far above any header, and far below what four bytes of something else would have a reader wait for."""


class Order(Record):
    """What a learning process is to do. ``router`` names the class, ``module:qualname``; ``root`` as in a mark.

    ``store`` is the address of the store, with its password.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    store: str = Field(repr=False)
    router: str
    parameters: Mapping[str, JsonValue]
    root: str
    embedder: str
    publish_s: float
    poll_s: float


class Frame(Record):
    """How far in the log a router is. ``state`` is ``None`` where nothing but the number changed."""

    reached: int
    state: RouterState | None = None


class _Header(Record):
    """What stands before a state's payload: all else, and how many bytes follow; -1 where no state does."""

    reached: int
    router: str = ""
    parameters: str = ""
    sequence: int = 0
    at: float = 0.0
    size: int = Field(default=-1, ge=-1)


def write_frame(stream: IO[bytes], frame: Frame) -> None:
    """Write one frame whole, and flush.

    Raises:
        OSError: nobody reads any more.
    """
    state = frame.state
    header = _Header(reached=frame.reached)
    if state is not None:
        header = _Header(
            reached=frame.reached,
            router=state.router,
            parameters=state.parameters,
            sequence=state.sequence,
            at=state.at,
            size=len(state.payload),
        )
    text = header.model_dump_json().encode()
    stream.write(_LENGTH.pack(len(text)) + text)
    if state is not None:
        stream.write(state.payload)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Frame | None:
    """Read one frame; ``None`` where the stream ends, also in the middle of one.

    Raises:
        ValueError: what comes is no frame: something else writes to the stream.

    >>> from io import BytesIO
    >>> stream = BytesIO()
    >>> write_frame(stream, Frame(reached=7)), stream.seek(0)
    (None, 0)
    >>> read_frame(stream), read_frame(stream)
    (Frame(reached=7, state=None), None)
    """
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(length)
    if size > _LONGEST_HEADER:
        raise ValueError(f"no frame begins with {length!r}; something else was written to the stream")
    text = stream.read(size)
    if len(text) < size:
        return None
    header = _Header.model_validate_json(text)
    if header.size < 0:
        return Frame(reached=header.reached)
    payload = stream.read(header.size)
    if len(payload) < header.size:
        return None
    state = RouterState(
        router=header.router,
        parameters=header.parameters,
        sequence=header.sequence,
        at=header.at,
        payload=payload,
    )
    return Frame(reached=header.reached, state=state)
