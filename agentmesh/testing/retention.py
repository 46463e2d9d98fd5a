"""The part of the contract of ``TraceStore`` that says what is forgotten, and what never is."""
# ruff: noqa: S101  # a contract is made of assertions

from abc import ABC, abstractmethod

import pytest

from agentmesh.errors import RunNotFoundError
from agentmesh.events import Event
from agentmesh.records import LearningFault, RunStatus
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.store.pruning import prune_runs
from agentmesh.store.retention import Pruned, Pruning, Retention
from agentmesh.testing.traces import call, decided, end, lesson, mark, score, start, state, whole
from agentmesh.types import RunId


def staged(run_id: RunId, *, at: float, last: RunStatus | None = RunStatus.COMPLETED) -> list[Event]:
    """Return a run that started one that started another, which stands as ``last`` says, or runs."""
    child, grandchild = f"{run_id}/a", f"{run_id}/a/b"
    ended: list[Event] = [] if last is None else [end(grandchild, 1, last)]
    return [
        *whole(run_id, at=at),
        start(child, at=at).model_copy(update={"parent": run_id}),
        end(child, 1),
        start(grandchild, at=at + 99).model_copy(update={"parent": child}),
        *ended,
    ]


class RetentionContract(ABC):
    """What goes when runs are pruned, as tests; every store's contract contains them."""

    @abstractmethod
    def make_store(self) -> TraceStore:
        """Return an empty store."""

    def test_ended_runs_that_started_before_a_time_are_pruned_with_all_that_tells_of_them(self) -> None:
        """Nothing lists, finds or counts them any more."""
        with self.make_store() as store:
            log: list[Event] = [
                start("old", at=1),
                decided("old", 1, reason="it rhymes"),
                call("old", 2),
                end("old", 3),
            ]
            store.append([*log, *whole("new", at=5, agent_id="bob")])
            store.add_fault(LearningFault(at=1, run_id="old", source="judge", message="What is 12 * 7?"))
            assert store.prune(Retention(before=5), at=9) == Pruned(1, 4)
            assert [run.id for run in store.runs()] == ["new"]
            for where in (RunFilter(agent_id="ada"), RunFilter(reason="rhymes"), RunFilter(prefix="old")):
                assert (store.runs(where), store.count_runs(where)) == ([], 0)
            with pytest.raises(RunNotFoundError):
                store.events("old")
            with pytest.raises(RunNotFoundError):
                store.add_feedback(score("old"))
            assert (store.faults(), store.check()) == ([], [])
            assert store.prunings() == [Pruning(at=9, before=5, runs=1, events=4)]

    def test_a_run_that_has_not_ended_is_never_pruned(self) -> None:
        """Whatever statuses are named."""
        with self.make_store() as store:
            store.append([start("running"), call("unheard of", 1)])
            assert store.prune(Retention(before=99, statuses=frozenset(RunStatus)), at=9) == Pruned()
            assert len(store.tail()) == 2
            assert store.prunings() == []

    @pytest.mark.parametrize(("last", "runs"), [(RunStatus.FAILED, 3), (None, 0)])
    def test_a_run_goes_with_those_that_it_started_or_stays_for_them(self, last: RunStatus | None, runs: int) -> None:
        """Also with those that these started."""
        with self.make_store() as store:
            store.append(staged("r", at=1, last=last))
            assert store.prune(Retention(before=5), at=9).runs == runs
            assert store.count_runs() == 3 - runs

    def test_a_run_that_another_started_goes_by_itself_only_once_that_is_gone(self) -> None:
        """Such as one whose parent was never stored."""
        with self.make_store() as store:
            kept: list[Event] = [start("r/a", at=1).model_copy(update={"parent": "r"}), end("r/a", 1)]
            store.append([*whole("r", at=7), *kept])
            assert store.prune(Retention(before=5), at=9).runs == 0
            assert store.prune(Retention(before=8), at=9).runs == 2
            store.append(kept)
            assert store.prune(Retention(before=5), at=9).runs == 1

    def test_only_runs_that_ended_as_named_are_pruned(self) -> None:
        """The others stay."""
        with self.make_store() as store:
            store.append([*whole("done"), start("failed"), end("failed", 1, RunStatus.FAILED)])
            store.prune(Retention(before=5, statuses=frozenset({RunStatus.FAILED})), at=9)
            assert [run.id for run in store.runs()] == ["done"]

    def test_scored_runs_are_kept_where_that_is_asked_for(self) -> None:
        """A score of a run keeps also the one that started it."""
        with self.make_store() as store:
            store.append([*whole("plain"), *whole("scored"), *staged("r", at=1)])
            store.add_feedback(score("scored"))
            store.add_feedback(score("r/a/b"))
            store.prune(Retention(before=5, keep_feedback=True), at=9)
            assert {run.id for run in store.runs()} == {"scored", "r", "r/a", "r/a/b"}
            store.prune(Retention(before=5), at=9)
            assert store.prunings() == [Pruning(at=9, before=5, runs=5, events=15)]

    def test_what_was_learned_stays_and_no_place_or_number_comes_again(self) -> None:
        """A reader that follows the store misses nothing, and is told nothing twice."""
        with self.make_store() as store:
            store.append(whole("old"))
            learned = store.add_feedback(score("old"), [lesson("old")])
            marked = store.put_mark(mark(), state(0))
            last = store.tail()[-1].place
            store.prune(Retention(before=5), at=9)
            assert (store.tail(), store.experiences(), store.last_experience()) == ([], learned, marked.sequence)
            store.append(whole("old"))
            assert [stored.place for stored in store.tail(last)] == [last + 1, last + 2, last + 3]
            assert store.add_feedback(score("old")) == []
            assert store.put_mark(mark(), state(0)).sequence == marked.sequence + 1

    def test_counting_what_would_go_deletes_nothing(self) -> None:
        """It gives the same numbers."""
        with self.make_store() as store:
            store.append([*whole("a"), *staged("b", at=1)])
            counted = store.prune(Retention(before=5), at=None)
            assert store.count_runs() == 4
            assert store.prune(Retention(before=5), at=9) == counted == Pruned(4, 10)

    def test_pruning_goes_on_from_where_it_was_past_runs_that_stay(self) -> None:
        """However few are looked at at a time."""
        with self.make_store() as store:
            store.append(
                [
                    event
                    for i in range(4)
                    for event in staged(f"r{i}", at=i // 2, last=None if i == 1 else RunStatus.FAILED)
                ]
            )
            done, reached = list[int](), None
            for _ in range(5):
                one = store.prune(Retention(before=5), at=9, after=reached, limit=1)
                done, reached = [*done, one.runs], one.reached
            assert done == [3, 0, 3, 3, 0]
            assert reached is None

    def test_all_of_a_store_is_pruned_in_transactions_with_pauses_between(self) -> None:
        """Each is told of."""
        with self.make_store() as store:
            store.append([event for i in range(150) for event in whole(f"r{i:03}")])
            told, pauses = list[int](), list[float]()
            done = prune_runs(store, Retention(5), at=9, told=lambda one: told.append(one.runs), pause=pauses.append)
            assert (done, told, len(pauses)) == (Pruned(150, 450), [100, 150], 1)
            assert store.vacuum().after_bytes <= store.vacuum().before_bytes
            assert store.tail() == []
