"""Writes training rows to a file of JSON lines."""

from collections.abc import Callable, Iterable
from pathlib import Path

from agentmesh.errors import ConfigError
from agentmesh.learning.sft import SftRow
from agentmesh.records import Record


class Written(Record):
    """How many rows were written, in how many nobody fits, and in how many the reason is a model's."""

    rows: int = 0
    nobody: int = 0
    reasoned: int = 0


def write_rows(path: Path, rows: Iterable[SftRow], *, shaped: Callable[[SftRow], Record] | None = None) -> Written:
    """Write rows as they come, whole or not at all.

    Args:
        path: The file.
        rows: What is written.
        shaped: Makes of each row what is written in its place.

    Raises:
        ConfigError: there is no row, or the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("w", encoding="utf-8") as stream:
            written = Written()
            for row in rows:
                stream.write((row if shaped is None else shaped(row)).model_dump_json() + "\n")
                written = Written(
                    rows=written.rows + 1,
                    nobody=written.nobody + (not row.ids),
                    reasoned=written.reasoned + (row.reasoned == "model"),
                )
        if not written.rows:
            raise ConfigError("nothing to write: no answer was scored well enough; give feedback, or lower the bar")
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return written
