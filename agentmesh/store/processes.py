"""Which process this is, and whether another one is certainly gone."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

Fate: TypeAlias = Literal["alive", "gone", "unknown"]

_PROC: Final = Path("/proc")
_ENDED: Final = frozenset("ZXx")
"""States of a process that has ended and whose parent has not asked for it yet."""


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """What tells one process from all others.

    ``place`` is the start of its machine and the space of process numbers there, so that two containers of one machine
    are two places; it is "" where the system does not say. ``born`` is when it was started, in the machine's own count:
    numbers of processes are used again.
    """

    host: str
    pid: int
    place: str
    born: str


def this_process() -> ProcessMark:
    """Return the mark of the process that runs now."""
    pid = os.getpid()
    return ProcessMark(socket.gethostname(), pid, _place(), _state_and_birth(pid)[1])


def fate(mark: ProcessMark, here: ProcessMark) -> Fate:
    """Say whether a process is alive or gone, as far as that is certain from ``here``; of another place it never is.

    >>> fate(ProcessMark("elsewhere", 1, "another place", "5"), this_process())
    'unknown'
    """
    if not here.place or mark.place != here.place or mark.pid <= 0:
        return "unknown"
    try:
        os.kill(mark.pid, 0)
    except ProcessLookupError:
        return "gone"
    except OSError:  # it is another user's
        pass
    state, born = _state_and_birth(mark.pid)
    if not born:  # it may be hidden from us
        return "unknown"
    return "gone" if born != mark.born or state in _ENDED else "alive"


def _place() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:  # only Linux says it
        return ""


def _state_and_birth(pid: int) -> tuple[str, str]:
    """Return the state of a process and when it was started, "" where the system does not say."""
    try:
        said = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    fields = said.rpartition(")")[2].split()  # the name before it may hold anything
    return fields[0], fields[19]
