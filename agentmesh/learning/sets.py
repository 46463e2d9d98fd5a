"""What may be learned from a recorded set: its open parts, and its tasks as an embedder is shown them."""

from agentmesh.errors import RecordedSetError
from agentmesh.recorded.reader import OpenSplit, RecordedSet, Rows


def open_parts(recorded: RecordedSet) -> list[Rows]:
    """Return train and val, or what there is of them; or all rows of a set that is not split.

    Raises:
        RecordedSetError: there is none of them, or a line is malformed.
    """
    splits: tuple[OpenSplit, ...] = ("train", "val", "all")
    parts = [recorded.open(split) for split in splits if recorded.count(split)]
    if not parts:
        raise RecordedSetError(f"{recorded.info.name!r} has no tasks to train on; expected 'train', 'val' or 'all'")
    return parts


def texts_of(rows: Rows) -> tuple[str, ...]:
    """Return the texts of the tasks, each behind its context if it has one."""
    return tuple(f"{task.context}\n{task.text}" if task.context else task.text for task in rows.tasks)
