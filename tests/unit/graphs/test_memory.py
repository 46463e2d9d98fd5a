"""The memory of a run: versions by key, what holds of texts that were written at once, and what is kept of the rest."""

from collections.abc import Sequence
from itertools import permutations

import pytest

from agentmesh.errors import ConfigError
from agentmesh.graphs.memory import ConflictRule, RunMemory
from agentmesh.records import ContextItem

STAGES = ("research", "write", "review")


def longest(contenders: Sequence[ContextItem]) -> str:
    return max((item.text for item in contenders), key=len)


def test_a_later_text_holds_and_the_earlier_stays_in_the_history() -> None:
    memory = RunMemory()
    memory.write("draft", "one", stage="write", agent_id="ada")
    memory.write("facts", "few")
    newest = memory.write("draft", "two", stage="write", agent_id="bob", seen=1)
    assert (newest.version, newest.number, newest.agent_id) == (2, 3, "bob")
    assert [item.text for item in memory.items()] == ["few", "two"]
    assert [(item.version, item.text) for item in memory.history("draft")] == [(1, "one"), (2, "two")]
    assert (memory.conflicts, memory.history("nothing")) == ((), ())


@pytest.mark.parametrize(
    ("rule", "holds"),
    [("last", "cc"), ("first", "aaaa"), ("both", "aaaa\n\nb\n\ncc"), (longest, "aaaa")],
)
def test_what_holds_of_texts_written_at_once_does_not_hang_on_who_was_quicker(
    rule: str | ConflictRule, holds: str
) -> None:
    writes = (("aaaa", "research", "zoe"), ("b", "review", "ada"), ("cc", "review", "bob"))
    for order in permutations(writes):
        memory = RunMemory(conflict=rule, stages=STAGES)
        for text, stage, agent_id in order:
            kept = memory.write("key", text, stage=stage, agent_id=agent_id, seen=0)
        assert (kept.text, memory.items()) == (holds, (kept,))
        history = memory.history("key")
        assert {"aaaa", "b", "cc"} <= {item.text for item in history}
        assert [item.version for item in history] == list(range(1, len(history) + 1))
        last = memory.conflicts[-1]
        assert (last.kept, {item.text for item in last.dropped}) == (kept, {"aaaa", "b", "cc"} - {holds})
        assert last.rule == (rule if isinstance(rule, str) else "longest")


def test_stages_nobody_named_come_after_those_named_and_equal_texts_are_no_conflict() -> None:
    memory = RunMemory(stages=STAGES)
    memory.write("key", "same", stage="extra", seen=0)
    assert memory.write("key", "same", stage="review", seen=0).text == "same"
    assert memory.conflicts == ()
    assert memory.write("key", "other", stage="write", seen=0).stage == "extra"
    assert len(memory.conflicts) == 1


def test_what_the_stages_right_before_wrote_is_pinned() -> None:
    memory = RunMemory(stages=STAGES)
    memory.write("facts", "few", stage="research")
    memory.write("draft", "long", stage="write")
    assert [(item.key, item.pinned) for item in memory.items(after=["write"])] == [("facts", False), ("draft", True)]


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(ConfigError, match="give it a name"):
        RunMemory().write("", "text")
    with pytest.raises(ConfigError, match="version 1 of 'key' cannot have been seen; the newest is 0"):
        RunMemory().write("key", "text", seen=1)
    with pytest.raises(ConfigError, match="no conflict rule is called 'best'; there are both, first, last"):
        RunMemory(conflict="best")
