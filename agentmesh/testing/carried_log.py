"""The part of the contract of ``TraceStore`` that export and import stand on: whole runs, and learning as numbered."""
# ruff: noqa: S101  # a contract is made of assertions

from abc import ABC, abstractmethod

import pytest

from agentmesh.errors import StoreError
from agentmesh.events import Event
from agentmesh.records import Experience, RouterMark, RouterState
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.testing.traces import call, end, lesson, mark, score, start, state, whole


def _lesson(sequence: int, quality: float = 1.0) -> Experience:
    return lesson(f"r{sequence}", quality).model_copy(update={"sequence": sequence})


def _mark(sequence: int) -> tuple[RouterMark, RouterState]:
    return mark().model_copy(update={"sequence": sequence}), state(sequence)


class CarriedLogContract(ABC):
    """What carrying a store's content into another may count on, as tests; every store's contract contains them."""

    @abstractmethod
    def make_store(self) -> TraceStore:
        """Return an empty store."""

    def test_traces_come_run_by_run_the_oldest_first(self) -> None:
        """However the events of the runs are mixed in the log; runs without a start come last."""
        with self.make_store() as store:
            late, early = whole("a", at=2), whole("b", at=1)
            lost: list[Event] = [call("c", 1), end("c", 2)]
            store.append([lost[0], late[0], early[0], late[1], early[1], lost[1], late[2], early[2]])
            assert list(store.traces()) == [early, late, lost]
            assert list(store.traces(RunFilter())) == [early, late]

    def test_traces_of_a_filter_bring_along_the_runs_that_those_started(self) -> None:
        """And the runs that these started."""
        with self.make_store() as store:
            root, other = whole("root", text="plan a journey"), whole("other", text="plan nothing", at=5)
            child = [start("child", text="x", at=1).model_copy(update={"parent": "root"})]
            grandchild = [start("grandchild", text="y", at=2).model_copy(update={"parent": "child"})]
            store.append([*other, *grandchild, *child, *root])
            assert list(store.traces(RunFilter(text="JOURNEY"))) == [root, child, grandchild]
            assert list(store.traces(RunFilter(text="nowhere"))) == []

    def test_traces_are_those_of_one_moment(self) -> None:
        """What is stored while they are read does not appear."""
        with self.make_store() as store:
            store.append([event for number in range(3) for event in whole(f"r{number}", at=number)])
            reading = store.traces()
            seen = [next(reading)]
            store.append(whole("later", at=0.5))
            store.add_feedback(score("r2"))
            assert [*seen, *reading] == [whole(f"r{number}", at=number) for number in range(3)]

    def test_what_another_store_learned_keeps_its_numbers(self) -> None:
        """Gaps stay, what is learned next comes behind, and each mark has its state."""
        with self.make_store() as store:
            assert store.take_over([_lesson(2), _lesson(5)], [_mark(3)]) == 3
            assert store.experiences() == [_lesson(2), _lesson(5)]
            assert store.every_mark() == [_mark(3)[0]] == store.marks("kernel", "abc")
            assert store.nearest_state("kernel", "abc", until=4) == state(3)
            assert store.last_experience() == 5
            store.append(whole("r"))
            assert [item.sequence for item in store.add_feedback(score("r"), [lesson("r")])] == [6]

    def test_half_a_character_in_a_lesson_survives(self) -> None:
        """A cut stream leaves one; no UTF-8 holds it."""
        with self.make_store() as store:
            first = _lesson(1).model_copy(update={"text": "half \ud83d"})
            second = first.model_copy(update={"run_id": "r", "sequence": 2})
            store.take_over([first])
            store.append(whole("r"))
            store.add_feedback(score("r"), [second])
            assert store.experiences() == [first, second]

    def test_taking_over_again_changes_nothing(self) -> None:
        """Also where only a part is new."""
        with self.make_store() as store:
            store.take_over([_lesson(1)], [_mark(2)])
            assert store.take_over([_lesson(1), _lesson(3)], [_mark(2)]) == 1
            assert store.take_over([]) == 0
            assert store.experiences() == [_lesson(1), _lesson(3)]
            assert store.every_mark() == [_mark(2)[0]]

    @pytest.mark.parametrize("taken", [_lesson(3, 0.25), _lesson(1), _lesson(2)])
    def test_a_number_that_stands_for_something_else_or_was_passed_is_refused(self, taken: Experience) -> None:
        """Nothing of what came with it is stored."""
        with self.make_store() as store:
            store.take_over([_lesson(3)], [_mark(2)])
            with pytest.raises(StoreError, match=f"number {taken.sequence} "):
                store.take_over([_lesson(7), taken])
            assert store.experiences() == [_lesson(3)]
            assert store.last_experience() == 3
