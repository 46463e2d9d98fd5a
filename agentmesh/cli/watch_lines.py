"""``agentmesh watch --plain``: a line for each event, for as long as somebody reads them."""

import errno
import os
import select
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from agentmesh.cli.output import note, print_text
from agentmesh.display import escape_json
from agentmesh.errors import RunNotFoundError, SchemaVersionError, StoreError

if TYPE_CHECKING:
    from agentmesh.events import Event
    from agentmesh.tui.sources import Source

POLL_S: Final = 0.1
"""How long a source that has nothing new is left alone."""

RETRY_S: Final = 1.0
"""How long one that cannot be read is left alone."""


def print_lines(source: "Source", *, ends: bool, as_json: bool = False, retry_s: float = RETRY_S) -> None:
    """Print the events of a source, one a line; until its last one where it ``ends``, else until Ctrl-C.

    Where it cannot be read for a while that is said once, and it is asked again every ``retry_s`` seconds.

    Raises:
        BrokenPipeError: nobody reads the lines any more.
        StoreError: it cannot be read at the start, or not by asking again: its run is gone, or it is newer than this.
    """
    from agentmesh.tui.presenters import plain_line

    for events in _followed(source, ends=ends, retry_s=retry_s):
        print_text("\n".join(escape_json(one.model_dump_json()) if as_json else plain_line(one) for one in events))


def _followed(source: "Source", *, ends: bool, retry_s: float) -> Iterator[Sequence["Event"]]:
    """Yield the events of a source as they come."""
    is_begun = is_away = False
    while not (ends and source.is_over):
        try:
            events = source.more()
        except StoreError as error:
            if not is_begun or isinstance(error, RunNotFoundError | SchemaVersionError):
                raise
            if not is_away:
                note(f"The source cannot be read; trying again: {error}")
            is_away = True
            _rest(retry_s)
            continue
        is_begun, is_away = True, False
        if events:
            yield events
        else:
            _rest(POLL_S)


def _rest(seconds: float) -> None:
    """Wait so long, or until nobody reads what is printed: that a pipe is closed is told to who asks.

    Raises:
        BrokenPipeError: nobody reads it, as printing would find.
    """
    printed_to = _pipe()
    if printed_to is None or sys.platform == "win32":
        time.sleep(seconds)
        return
    asked = select.poll()
    asked.register(printed_to, 0)  # its end, and an error, are told in any case
    if asked.poll(seconds * 1000):
        raise BrokenPipeError(errno.EPIPE, "nobody reads what is printed")


def _pipe() -> int | None:
    """Return the pipe or socket that is printed to, ``None`` where it is something else."""
    try:
        printed_to = -1 if sys.stdout is None else sys.stdout.fileno()
        mode = os.fstat(printed_to).st_mode
    except OSError:  # there is none, or it is an object of Python's alone
        return None
    return printed_to if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None
