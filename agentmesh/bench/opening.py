"""The one place that opens what came of test tasks."""

from typing import Literal, TypeAlias

from agentmesh.errors import RecordedSetError
from agentmesh.recorded.reader import RecordedSet, Rows
from agentmesh.recorded.sealed import read_test_rows

BenchSplit: TypeAlias = Literal["val", "test"]


def open_outcomes(recorded: RecordedSet, split: BenchSplit) -> Rows:
    """Read the rows that finished choices are scored on; call it once nothing is left to choose.

    Raises:
        RecordedSetError: the set has no task in this split, or a line of it is malformed.
    """
    if not recorded.count(split):
        raise RecordedSetError(f"{recorded.info.name!r} has no {split!r} tasks; bench scores 'test' or 'val'")
    return read_test_rows(recorded) if split == "test" else recorded.open(split)
