"""The part of the contract of ``TraceStore`` that learning stands on: scores, experiences, marks, states, faults."""
# ruff: noqa: S101  # a contract is made of assertions

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmesh.errors import DuplicateFeedbackError, StoreError
from agentmesh.events import FeedbackGiven
from agentmesh.records import Experience, Feedback, LearningFault, RouterMark, RouterState
from agentmesh.store.base import TraceStore
from agentmesh.testing import strategies as draw
from agentmesh.testing.traces import end, lesson, mark, score, start, state, whole

BOUNDED = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))

_LESSONS = st.lists(draw.experiences("r"), max_size=3, unique_by=lambda item: (item.agent_id, item.source))
_MARKS = st.builds(
    RouterMark,
    router=draw.names,
    root=draw.hashes,
    parameters=draw.hashes,
    kind=st.sampled_from(["trained", "reset", "rollback"]),
    target=st.none() | st.integers(0, 20),
    at=draw.instants,
    note=draw.texts,
)


class LearningLogContract(ABC):
    """What learning may count on, as tests; every store's contract contains them."""

    @abstractmethod
    def make_store(self) -> TraceStore:
        """Return an empty store."""

    # --- feedback

    def test_feedback_becomes_the_next_event_of_its_run(self) -> None:
        """It leaves the summary as it was."""
        with self.make_store() as store:
            store.append(whole("r"))
            before = store.runs()
            assert store.add_feedback(score("r", 0.5)) == []
            assert store.events("r")[3:] == [FeedbackGiven(run_id="r", seq=3, at=2, feedback=score("r", 0.5))]
            assert store.runs() == before
            assert store.tail()[-1].event.seq == 3

    def test_events_that_come_after_feedback_take_the_seq_after_it(self) -> None:
        """The score holds its place in the log."""
        with self.make_store() as store:
            store.append(whole("r"))
            store.add_feedback(score("r"))
            with pytest.raises(StoreError, match="event 3"):
                store.append([end("r", 3)])
            store.append([end("r", 4)])
            assert [event.seq for event in store.events("r")] == [0, 1, 2, 3, 4]
            assert store.check() == []

    def test_a_run_that_has_not_finished_takes_no_feedback(self) -> None:
        """Its next seq belongs to who is writing it."""
        with self.make_store() as store:
            store.append([start("r")])
            with pytest.raises(StoreError, match=r"'r'.*not finished"):
                store.add_feedback(score("r"), [lesson("r")])
            assert store.events("r") == [start("r")]
            assert store.last_experience() == 0

    @pytest.mark.parametrize(
        ("feedback", "learned"),
        [
            (score("r", 0.0), [lesson("r", 0.0)]),
            (score("r", 0.0), []),
            (score("r"), [lesson("r", agent_id="cy")]),
            (score("r", agent_id="bob"), [lesson("r", agent_id="bob")]),
            (score("r", agent_id="cy"), [lesson("r", agent_id="cy"), lesson("r", agent_id="bob")]),
            (score("r", source="judge"), [lesson("r", source="judge"), lesson("r", 0.0, source="judge")]),
        ],
        ids=["same", "same, unlearned", "same answer", "agent of the answer", "second agent", "twice in one"],
    )
    def test_a_source_that_scores_again_is_refused_and_nothing_is_written(
        self, feedback: Feedback, learned: list[Experience]
    ) -> None:
        """Also when an answer and one of its agents are scored, or one agent comes twice in one call."""
        with self.make_store() as store:
            store.append(whole("r"))
            store.add_feedback(score("r"), [lesson("r"), lesson("r", agent_id="bob")])
            events, experiences = store.events("r"), store.experiences()
            with pytest.raises(DuplicateFeedbackError, match=r"'(user|judge)' has scored .* 'r'"):
                store.add_feedback(feedback, learned)
            assert store.events("r") == events
            assert store.experiences() == experiences
            assert store.last_experience() == 2

    def test_another_source_another_agent_and_another_run_are_no_second_score(self) -> None:
        """Only the same source, agent and run are."""
        with self.make_store() as store:
            store.append([*whole("r"), *whole("s")])
            store.add_feedback(score("r"), [lesson("r")])
            store.add_feedback(score("r", source="judge"), [lesson("r", source="judge")])
            store.add_feedback(score("r", agent_id="bob"), [lesson("r", agent_id="bob")])
            store.add_feedback(score("s"), [lesson("s")])
            assert store.last_experience() == 4

    def test_one_score_may_teach_of_an_agent_at_several_stages_and_of_each_once(self) -> None:
        """An agent may stand at two stages of a run, and each of its answers is scored for itself."""
        stages = [lesson("r").model_copy(update={"stage": stage}) for stage in range(3)]
        with self.make_store() as store:
            store.append(whole("r"))
            store.add_feedback(score("r"), stages[:2])
            for again in stages[:2]:
                with pytest.raises(DuplicateFeedbackError, match="'user' has scored agent 'ada' of run 'r'"):
                    store.add_feedback(score("r", agent_id="ada"), [stages[2], again])
            assert [item.stage for item in store.experiences()] == [0, 1]

    def test_a_score_from_which_nothing_was_learned_is_not_taken_twice_either(self) -> None:
        """A judge that was undecided has spoken; the answer and an agent are two things to score."""
        with self.make_store() as store:
            store.append(whole("r"))
            store.add_feedback(score("r", source="judge"))
            store.add_feedback(score("r", agent_id="ada", source="judge"))
            for given_score in (score("r", 0.0, source="judge"), score("r", agent_id="ada", source="judge")):
                with pytest.raises(DuplicateFeedbackError, match="another source may score it"):
                    store.add_feedback(given_score, [lesson("r", agent_id="cy", source="judge")])
            assert store.last_experience() == 0
            assert len(store.events("r")) == 5

    def test_of_several_threads_that_give_the_same_score_one_is_taken(self) -> None:
        """The check and the writing are one step."""
        with self.make_store() as store, ThreadPoolExecutor(4) as threads:
            store.append(whole("r"))
            tasks = [threads.submit(store.add_feedback, score("r"), [lesson("r")]) for _ in range(8)]
            refused = [task for task in tasks if isinstance(task.exception(), DuplicateFeedbackError)]
            assert len(refused) == 7
            assert [item.sequence for item in store.experiences()] == [1]

    # --- experiences

    def test_experiences_are_numbered_from_one_without_gaps(self) -> None:
        """Over several calls."""
        with self.make_store() as store:
            store.append([*whole("r"), *whole("s")])
            assert store.last_experience() == 0
            first = store.add_feedback(score("r"), [lesson("r", 0.1), lesson("r", 0.2, agent_id="bob")])
            second = store.add_feedback(score("s"), [lesson("s", 0.3)])
            assert [item.sequence for item in first + second] == [1, 2, 3]
            assert [item.quality for item in first + second] == [0.1, 0.2, 0.3]
            assert store.experiences() == first + second
            assert store.last_experience() == 3

    @pytest.mark.parametrize(
        ("after", "until", "limit", "found"),
        [
            (0, None, None, [1, 2, 3, 5]),
            (1, 3, None, [2, 3]),
            (3, 4, None, []),
            (4, 5, None, [5]),
            (0, None, 2, [1, 2]),
            (1, 3, 1, [2]),
            (5, None, None, []),
            (-1, 0, None, []),
        ],
    )
    def test_experiences_are_read_in_pieces(
        self, after: int, until: int | None, limit: int | None, found: list[int]
    ) -> None:
        """``after`` is left out, ``until`` is in, and the number of a mark is passed over."""
        with self.make_store() as store:
            store.append([*whole("r"), *whole("s")])
            store.add_feedback(score("r"), [lesson("r", agent_id=agent_id) for agent_id in ("ada", "bob", "cy")])
            store.put_mark(mark(), state(0))
            store.add_feedback(score("s"), [lesson("s")])
            got = store.experiences(after, until=until, limit=limit)
            assert [item.sequence for item in got] == found

    @BOUNDED
    @given(_LESSONS, draw.feedbacks("r"), st.floats(0.01, 1), st.integers(0, 5), draw.agent_ids)
    def test_any_experience_comes_back_as_it_was(
        self, learned: list[Experience], given_score: Feedback, weight: float, stage: int, previous: str
    ) -> None:
        """But for its number."""
        place = {"weight": weight, "stage": stage, "previous": previous}
        learned = [item.model_copy(update=place) for item in learned]
        with self.make_store() as store:
            store.append(whole("r"))
            stored = store.add_feedback(given_score, learned)
            assert [item.model_copy(update={"sequence": 0}) for item in stored] == learned
            assert store.experiences() == stored
            last = store.events("r")[-1]
            assert isinstance(last, FeedbackGiven)
            assert last.feedback == given_score

    # --- marks

    def test_a_mark_takes_its_number_from_the_same_counter_as_experiences(self) -> None:
        """A version names a state before a mark or after it, never both."""
        with self.make_store() as store:
            store.append([*whole("r"), *whole("s")])
            store.add_feedback(score("r"), [lesson("r")])
            marked = store.put_mark(mark(), state(0))
            learned = store.add_feedback(score("s"), [lesson("s")])
            assert marked == mark().model_copy(update={"sequence": 2})
            assert [item.sequence for item in learned] == [3]
            assert store.put_mark(marked, state(2)).sequence == store.last_experience() == 4
            assert [item.sequence for item in store.experiences()] == [1, 3]
            assert store.check() == []

    @BOUNDED
    @given(st.lists(st.integers(-1, 3), max_size=8))
    def test_each_number_is_used_once_whatever_comes_in_which_order(self, counts: Sequence[int]) -> None:
        """A count is that of the experiences of a score, -1 is a mark."""
        with self.make_store() as store:
            used = []
            for place, count in enumerate(counts):
                if count < 0:
                    used.append(store.put_mark(mark(router=f"r{place}"), state(9, router=f"r{place}")).sequence)
                else:
                    store.append(whole(f"{place}"))
                    learned = [lesson(f"{place}", agent_id=f"a{i}") for i in range(count)]
                    used += [item.sequence for item in store.add_feedback(score(f"{place}"), learned)]
            assert used == list(range(1, len(used) + 1))
            assert store.last_experience() == len(used)

    def test_the_state_at_a_mark_is_found_by_the_marks_number(self) -> None:
        """Whatever sequence it was handed in under; the state before the mark stays."""
        with self.make_store() as store:
            store.append(whole("r"))
            store.add_feedback(score("r"), [lesson("r")])
            store.put_state(state(1, payload=b"before"))
            marked = store.put_mark(mark(target=0), state(77, payload=b"set"))
            assert store.nearest_state("kernel", "abc", until=2) == state(2, payload=b"set")
            assert store.nearest_state("kernel", "abc", until=1) == state(1, payload=b"before")
            assert store.nearest_state("kernel", "abc") == state(marked.sequence, payload=b"set")

    @pytest.mark.parametrize(
        ("after", "until", "found"),
        [(0, None, [1, 3]), (1, None, [3]), (0, 2, [1]), (0, 1, [1]), (0, 0, []), (3, None, [])],
    )
    def test_the_marks_of_a_router_are_its_own_in_order(self, after: int, until: int | None, found: list[int]) -> None:
        """``after`` is left out, ``until`` is in; other names and other roots are other routers."""
        with self.make_store() as store:
            store.put_mark(mark(parameters="fitted"), state(0, parameters="fitted"))
            store.put_mark(mark(router="knn"), state(0, router="knn"))
            store.put_mark(mark(), state(0))
            store.put_mark(mark(root="abd"), state(0))
            assert [item.sequence for item in store.marks("kernel", "abc", after=after, until=until)] == found
            assert store.marks("kernel", "nix") == []

    def test_a_mark_with_the_state_of_another_router_is_refused_and_nothing_is_written(self) -> None:
        """By name or by parameters."""
        with self.make_store() as store:
            for other in (state(0, router="knn"), state(0, parameters="abd")):
                with pytest.raises(StoreError, match=r"mark of router 'kernel' .* came with a state"):
                    store.put_mark(mark(), other)
            assert store.marks("kernel", "abc") == []
            assert store.routers() == []
            assert store.last_experience() == 0

    @BOUNDED
    @given(_MARKS)
    def test_any_mark_comes_back_as_it_was(self, handed_in: RouterMark) -> None:
        """But for its number."""
        with self.make_store() as store:
            stored = store.put_mark(handed_in, state(0, router=handed_in.router, parameters=handed_in.parameters))
            assert stored == handed_in.model_copy(update={"sequence": 1})
            assert store.marks(handed_in.router, handed_in.root) == [stored]

    # --- states

    @pytest.mark.parametrize(("until", "found"), [(None, 8), (8, 8), (7, 3), (3, 3), (2, None)])
    def test_the_nearest_state_is_the_last_one_not_after_until(self, until: int | None, found: int | None) -> None:
        """States of other routers and parameters are not looked at."""
        with self.make_store() as store:
            for stored in (state(3), state(8), state(5, router="knn"), state(7, parameters="abd")):
                store.put_state(stored)
            nearest = store.nearest_state("kernel", "abc", until=until)
            assert nearest == (None if found is None else state(found))

    def test_a_state_replaces_the_one_of_the_same_sequence(self) -> None:
        """Others stay."""
        with self.make_store() as store:
            for stored in (state(3, payload=b"old"), state(4), state(3, payload=b"new")):
                store.put_state(stored)
            assert store.nearest_state("kernel", "abc", until=3) == state(3, payload=b"new")
            assert store.nearest_state("kernel", "abc") == state(4)

    @BOUNDED
    @given(draw.router_states)
    def test_any_state_comes_back_as_it_was(self, stored: RouterState) -> None:
        """To the last byte."""
        with self.make_store() as store:
            store.put_state(stored)
            assert store.nearest_state(stored.router, stored.parameters) == stored

    def test_states_are_listed_by_sequence_with_their_times(self) -> None:
        """Each once, also when it was replaced; those of other routers and parameters are left out."""
        with self.make_store() as store:
            assert store.states("kernel", "abc") == []
            for stored in (state(8), state(3), state(5, router="knn"), state(7, parameters="abd"), state(3)):
                store.put_state(stored.model_copy(update={"at": float(stored.sequence)}))
            store.put_mark(mark(), state(0))
            assert store.states("kernel", "abc") == [(1, 0.0), (3, 3.0), (8, 8.0)]

    # --- faults

    def test_faults_are_read_newest_first(self) -> None:
        """As many as asked for; the order is that of storing, not of their times."""
        faults = [LearningFault(at=-float(i), run_id="r", source="judge", message=f"no. {i}") for i in range(60)]
        with self.make_store() as store:
            assert store.faults() == []
            for fault in faults:
                store.add_fault(fault)
            assert store.faults() == faults[:9:-1]
            assert store.faults(limit=2) == faults[:57:-1]

    def test_a_long_message_of_a_fault_is_cut(self) -> None:
        """At 2,000 characters, so that an answer quoted whole a thousand times does not fill the store."""
        with self.make_store() as store:
            store.add_fault(LearningFault(at=1, message="x" * 2000))
            store.add_fault(LearningFault(at=2, message="y" * 2001))
            assert [fault.message for fault in store.faults()] == ["y" * 1999 + "…", "x" * 2000]

    def test_a_fault_of_any_text_is_kept(self) -> None:
        """Half of a surrogate pair, which no column holds, is spelled out; the error in hand is not replaced by one."""
        with self.make_store() as store:
            store.add_fault(LearningFault(at=1, run_id="\ud83d", source="j\0", message="caf\u00e9 \ud83d"))
            assert store.faults() == [LearningFault(at=1, run_id="\\ud83d", source="j\0", message="caf\u00e9 \\ud83d")]
