"""The contract of ``TraceStore``, executable; ``pytest`` and ``hypothesis`` must be installed."""
# ruff: noqa: S101  # a contract is made of assertions

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.errors import DuplicateEventError, RunNotFoundError, StoreError
from agentmesh.events import AnswerChunk, Event, RunResumed, fold, summarize
from agentmesh.records import AgentCard, LearningFault, RegistrySnapshot
from agentmesh.store.base import RunFilter
from agentmesh.testing import strategies as draw
from agentmesh.testing.carried_log import CarriedLogContract
from agentmesh.testing.learning_log import BOUNDED, LearningLogContract
from agentmesh.testing.leases import LeaseContract
from agentmesh.testing.lists import ListContract
from agentmesh.testing.retention import RetentionContract
from agentmesh.testing.traces import call as call
from agentmesh.testing.traces import decided as decided
from agentmesh.testing.traces import end as end
from agentmesh.testing.traces import lesson as lesson
from agentmesh.testing.traces import mark as mark
from agentmesh.testing.traces import score as score
from agentmesh.testing.traces import start as start
from agentmesh.testing.traces import state as state
from agentmesh.testing.traces import whole as whole


class TraceStoreContract(ListContract, CarriedLogContract, LearningLogContract, LeaseContract, RetentionContract):
    """What every store keeps to, as tests. Inherit in a class named ``Test...`` and write :meth:`make_store`."""

    # --- events

    def test_events_come_back_in_the_order_of_their_seq(self) -> None:
        """Order of storing does not matter."""
        with self.make_store() as store:
            log = whole("r")
            store.append([log[2]])
            store.append([log[0], log[1]])
            assert store.events("r") == log
            assert store.run("r") == fold(log)
            assert store.runs() == [summarize(fold(log))]

    @pytest.mark.parametrize("limit", [1, 2, None])
    def test_a_run_may_be_read_in_parts(self, limit: int | None) -> None:
        """Each after the last seq that was read; what comes meanwhile is read on its own."""
        with self.make_store() as store:
            log = whole("r")
            store.append([*whole("other"), *log[:2]])
            read = store.events("r", limit=limit)
            for event in log[2:]:
                store.append([event])
                while part := store.events("r", after=read[-1].seq, limit=limit):
                    read += part
            assert read == log
            with pytest.raises(RunNotFoundError, match="'nobody'"):
                store.events("nobody", after=3, limit=limit)

    def test_when_the_events_of_a_run_came_is_told_without_them(self) -> None:
        """By seq, whatever order they were stored in."""
        with self.make_store() as store:
            log = whole("r")
            store.append([*whole("other"), log[2], log[0], log[1]])
            assert store.times("r") == [(event.seq, event.at) for event in log]
            with pytest.raises(RunNotFoundError, match="'nobody'"):
                store.times("nobody")

    def test_a_run_is_found_by_its_agent_also_where_its_start_was_stored_last(self) -> None:
        """By the time at which it started."""
        with self.make_store() as store:
            store.append([*whole("old", at=1), *whole("new", at=3)])
            store.append([call("r", 1)])
            theirs = RunFilter(agent_id="ada")
            assert store.count_runs(theirs) == 2
            store.append([start("r", at=2)])
            assert [run.id for run in store.runs(theirs)] == ["new", "r", "old"]
            assert [run.id for run in store.runs(RunFilter(agent_id="ada", since=2), offset=1)] == ["r"]

    def test_the_events_of_several_runs_go_in_together(self) -> None:
        """One call may hold any runs, mixed."""
        with self.make_store() as store:
            first, second = whole("a"), whole("b")
            store.append([event for pair in zip(first, second, strict=True) for event in pair])
            assert store.events("a") == first
            assert store.events("b") == second

    def test_appending_nothing_changes_nothing(self) -> None:
        """An empty sequence is allowed."""
        with self.make_store() as store:
            store.append([])
            assert store.tail() == []
            assert store.last_place() == 0

    def test_pieces_of_answers_are_passed_over(self) -> None:
        """They are for listeners."""
        with self.make_store() as store:
            store.append([AnswerChunk(run_id="r", seq=1, at=0, agent_id="ada", text="8"), start("r")])
            assert store.events("r") == [start("r")]

    @pytest.mark.parametrize("split", [0, 1, 2])
    def test_an_event_that_is_stored_already_is_refused_and_nothing_is_written(self, split: int) -> None:
        """Also when it comes twice in one call."""
        with self.make_store() as store:
            log = whole("r")
            store.append(log[:split])
            with pytest.raises(DuplicateEventError, match="'r'"):
                store.append([*whole("other"), *log[split:], log[0]])
            assert [stored.event for stored in store.tail()] == log[:split]
            assert store.count_runs() == min(split, 1)

    def test_who_writes_into_a_run_that_another_went_on_with_is_told_so_and_nothing_is_written(self) -> None:
        """Its log is the other's from the place where that went on."""
        with self.make_store() as store:
            store.append([start("r"), call("r", 1), RunResumed(run_id="r", seq=2, at=2, owner="other")])
            late: list[Event] = [call("r", 2, "bob"), end("r", 3)]
            for mine in (late[:1], late):
                with pytest.raises(DuplicateEventError, match=r"'r' .*by somebody else, .*from event 2"):
                    store.append(mine)
            with pytest.raises(DuplicateEventError, match="event 2 of run 'r' is already"):
                store.append([RunResumed(run_id="r", seq=2, at=3, owner="me")])
            assert len(store.events("r")) == 3

    def test_an_unknown_run_is_an_error_that_names_it(self) -> None:
        """By events, by run, and by feedback."""
        with self.make_store() as store:
            for ask in (store.events, store.run, lambda run_id: store.add_feedback(score(run_id))):
                with pytest.raises(RunNotFoundError, match="'nobody'"):
                    ask("nobody")

    def test_a_run_whose_start_is_missing_is_not_listed(self) -> None:
        """Its events can be read; it cannot be folded."""
        with self.make_store() as store:
            store.append([call("r", 1), end("r", 2)])
            assert store.events("r") == [call("r", 1), end("r", 2)]
            assert store.runs() == []
            assert store.count_runs() == 0
            with pytest.raises(RunNotFoundError):
                store.run("r")

    def test_places_rise_and_the_tail_starts_after_one(self) -> None:
        """A listener that remembers the last place misses nothing and sees nothing twice."""
        with self.make_store() as store:
            store.append([*whole("a"), *whole("b")])
            seen = store.tail(limit=4)
            seen += store.tail(seen[-1].place)
            assert [stored.event for stored in seen] == [*whole("a"), *whole("b")]
            places = [stored.place for stored in seen]
            assert places == sorted(set(places))
            assert places[0] > 0
            assert store.tail(places[-1]) == []
            assert store.last_place() == places[-1]

    @BOUNDED
    @given(st.data())
    def test_any_log_comes_back_as_it_was_however_it_was_split(self, data: st.DataObject) -> None:
        """Events, folded run, summary."""
        log = data.draw(draw.traces())
        cuts = sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=3)))
        with self.make_store() as store:
            for first, last in zip([0, *cuts], [*cuts, len(log)], strict=True):
                store.append(log[first:last])
            run_id = log[0].run_id
            assert store.events(run_id) == log
            assert store.run(run_id) == fold(log)
            assert store.runs() == [summarize(fold(log))]
            assert store.check() == []

    @BOUNDED
    @given(st.permutations(range(6)), st.lists(st.integers(0, 6), max_size=2))
    def test_the_order_of_arrival_does_not_show(self, order: Sequence[int], cuts: list[int]) -> None:
        """Neither in the events nor in the summary."""
        log: list[Event] = [
            start("r"),
            call("r", 1),
            call("r", 2, "bob", None),
            end("r", 3),
            call("r", 4, "cy"),
            start("r", seq=5),
        ]
        with self.make_store() as store:
            for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), 6], strict=True):
                store.append([log[i] for i in order[first:last]])
            assert store.events("r") == log
            assert store.runs() == [summarize(fold(log))]

    def test_several_threads_may_write_and_read_at_once(self) -> None:
        """Nothing is lost, and no reader sees half a call of append."""
        with self.make_store() as store, ThreadPoolExecutor(4) as threads:
            runs = [f"r{i}" for i in range(20)]
            writing = [threads.submit(store.append, whole(run_id)) for run_id in runs]
            lengths = [threads.submit(lambda: len(store.tail())) for _ in range(10)]
            assert all(task.result() % 3 == 0 for task in lengths)
            assert [task.result() for task in writing] == [None] * 20
            assert store.count_runs() == 20

    # --- registries and routers

    @BOUNDED
    @given(draw.registries)
    def test_a_registry_comes_back_as_it_was(self, snapshot: RegistrySnapshot) -> None:
        """Storing its version again changes nothing."""
        with self.make_store() as store:
            store.put_registry(snapshot)
            other = RegistrySnapshot(version=snapshot.version, cards=(AgentCard(id="new", description="d"),))
            store.put_registry(other)
            assert store.registry(snapshot.version) == snapshot

    def test_the_latest_card_of_every_agent_is_kept_also_when_it_left(self) -> None:
        """The highest version counts, in whatever order the registries came; an agent that left is still known."""
        old, new = AgentCard(id="a", description="old"), AgentCard(id="a", description="new", version=2)
        gone = AgentCard(id="gone", description="d")
        with self.make_store() as store:
            assert store.latest_cards() == ()
            store.put_registry(RegistrySnapshot(version="2", cards=(new,)))
            store.put_registry(RegistrySnapshot(version="1", cards=(gone, old)))
            assert store.latest_cards() == (new, gone)

    def test_an_unknown_registry_is_an_error_that_names_it(self) -> None:
        """It is a ``StoreError``."""
        with self.make_store() as store, pytest.raises(StoreError, match="'nix'"):
            store.registry("nix")

    def test_the_parameters_of_a_router_are_found_by_their_hash(self) -> None:
        """Storing them again changes nothing; unknown ones are ``None``."""
        with self.make_store() as store:
            store.put_router("knn", "abc", '{"k": 5}')
            store.put_router("knn", "abc", '{"k": 6}')
            assert store.router_parameters("knn", "abc") == '{"k": 5}'
            assert store.router_parameters("knn", "abd") is None
            assert store.router_parameters("kernel", "abc") is None

    def test_routers_are_listed_by_the_names_of_their_parameters_and_of_their_states(self) -> None:
        """Each pair once, sorted; a state's name need not be that of parameters."""
        with self.make_store() as store:
            assert store.routers() == []
            store.put_router("knn", "abc", "{}")
            store.put_state(state(1, router="knn+static", parameters="abc"))
            store.put_state(state(2, router="knn+static", parameters="abc"))
            store.put_state(state(1, router="knn", parameters="abc"))
            assert store.routers() == [("knn", "abc"), ("knn+static", "abc")]

    # --- upkeep

    def test_a_hole_in_a_log_is_found(self) -> None:
        """A clean store has nothing to say."""
        with self.make_store() as store:
            store.append([*whole("fine"), start("torn"), end("torn", 2)])
            (line,) = store.check()
            assert "'torn'" in line

    def test_a_closed_store_refuses_everything_and_may_be_closed_again(self) -> None:
        """With an error that names it."""
        store = self.make_store()
        store.append(whole("r"))
        store.close()
        store.close()
        for ask in (
            store.runs,
            store.tail,
            store.last_place,
            store.check,
            store.last_experience,
            store.experiences,
            store.faults,
            store.leases,
            lambda: store.renew_lease("me", 1.0),
            lambda: store.times("r"),
            lambda: store.append(whole("s")),
            lambda: store.add_feedback(score("r")),
            lambda: store.put_mark(mark(), state(0)),
            lambda: store.marks("kernel", "abc"),
            lambda: store.states("kernel", "abc"),
            lambda: store.add_fault(LearningFault(at=0, message="m")),
        ):
            with pytest.raises(StoreError, match="closed"):
                ask()

    def test_a_repair_leaves_what_is_sound_as_it_is_and_gives_no_lost_event_back(self) -> None:
        """A hole is still named afterwards."""
        with self.make_store() as store:
            store.append([*whole("fine"), decided("fine", 3, reason="why"), start("torn"), end("torn", 2)])
            before = store.tail(), store.runs(), store.check()
            assert store.repair() == []
            assert (store.tail(), store.runs(), store.check()) == before
