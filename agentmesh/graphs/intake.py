"""What comes in: a task that can be routed and stored, and the name of its run."""

import secrets

from agentmesh.errors import ConfigError
from agentmesh.records import Task
from agentmesh.types import RunId

MAX_TASK_CHARACTERS = 2**20
"""A task is a request, not a file: longer text belongs in a place that agents read from."""


LONGEST_RUN_ID = 200
"""Characters: with those of a stage, of an agent and of a source, it fits into one row of an index of PostgreSQL."""


def as_task(task: str | Task) -> Task:
    """Return ``task`` as a ``Task`` that can be routed and stored.

    Raises:
        ConfigError: it is empty, longer than 1,048,576 characters, or it or its context is no valid Unicode.
    """
    checked = Task(text=task) if isinstance(task, str) else task
    if not checked.text.strip():
        raise ConfigError(f"the task is {checked.text[:20]!r}; give it some text")
    if len(checked.text) > MAX_TASK_CHARACTERS:
        raise ConfigError(f"the task has {len(checked.text)} characters; at most {MAX_TASK_CHARACTERS} are accepted")
    _check_unicode("the task", checked.text)
    for item in checked.context:
        _check_unicode(f"the key {item.key!r} of the context", item.key)
        _check_unicode(f"the context {item.key!r}", item.text)
    return checked


def _check_unicode(named: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{named} holds {error.object[error.start]!r} at {error.start}, which is no Unicode"
        ) from error


def named_run(run_id: RunId | None, now: float) -> RunId:
    """Return the id that a caller gave a run, or a new one.

    Raises:
        ConfigError: it is blank, longer than 200 characters, or no valid Unicode.

    >>> named_run("invoice 7", 0.0)
    'invoice 7'
    """
    if run_id is None:
        return new_run_id(now)
    if not run_id.strip() or len(run_id) > LONGEST_RUN_ID:
        raise ConfigError(f"the run is called {run_id[:20]!r}; give it a name of 1 to {LONGEST_RUN_ID} characters")
    _check_unicode("the name of the run", run_id)
    return run_id


def new_run_id(now: float) -> RunId:
    """Return an id that sorts by time: milliseconds since the epoch in hexadecimal, then 40 random bits."""
    return f"{int(now * 1000):011x}-{secrets.token_hex(5)}"
