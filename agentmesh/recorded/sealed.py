"""The one way to what came of test tasks. ``agentmesh.bench.opening`` is its only caller, and a test proves it."""

from agentmesh.recorded.reader import RecordedSet, Rows


def read_test_rows(recorded: RecordedSet) -> Rows:
    """Read the test rows of a set, outcomes and labels included.

    Raises:
        RecordedSetError: a line of the test split is malformed; the message names file and line.
    """
    return recorded._read_split("test")
