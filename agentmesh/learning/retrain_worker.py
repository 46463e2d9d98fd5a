"""The retraining process of a mesh: it fits a router anew, and sets a mark if it is better. ``schedule`` starts it.

On its standard input comes one line of JSON, an :class:`~agentmesh.learning.frames.Order`; on its standard output goes
one, a :class:`Report`. It ends when its input does, since then the mesh is gone; it may be killed at any time, since
until the mark, which is one transaction, it writes nothing.
"""

import os
import signal
import threading
from typing import IO, Final

from agentmesh.learning.faults import told
from agentmesh.learning.frames import Order
from agentmesh.learning.retraining import retrain
from agentmesh.learning.trial import Retraining
from agentmesh.learning.versions import served_router
from agentmesh.learning.worker import router_of
from agentmesh.records import Record
from agentmesh.store import open_store

NICENESS: Final = 10
"""How far it steps back behind what serves: a fit may take minutes of a whole core."""


class Report(Record):
    """What came of a retraining: what was found, or why it failed."""

    found: Retraining | None = None
    error: str = ""


def main() -> None:
    """Do what comes in on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the mesh decides what it means
    os.nice(NICENESS)
    source, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a router prints must not get into the report
    line = source.readline()
    threading.Thread(target=_end_with, args=(source,), daemon=True).start()
    report(line, out)


def report(line: bytes, out: IO[bytes]) -> None:
    """Retrain as an order says, and write what came of it."""
    try:
        done = Report(found=_retrained(Order.model_validate_json(line)))
    except Exception as error:  # noqa: BLE001 - the worker boundary: the mesh is told, and serves on
        done = Report(error=told(error))
    out.write(done.model_dump_json().encode() + b"\n")
    out.flush()


def _retrained(order: Order) -> Retraining:
    fresh = router_of(order)
    with open_store(order.store) as store:
        stored = served_router(store, fresh.name, embedder=order.embedder, root=order.root)
        return retrain(store, stored, fresh=fresh)


def _end_with(source: IO[bytes]) -> None:
    """End this process when ``source`` does, in the middle of whatever it is at."""
    while os.read(source.fileno(), 4096):
        pass
    os._exit(1)
