"""The contract of ``TraceStore``, executable; ``pytest`` and ``hypothesis`` must be installed."""
# ruff: noqa: S101  # a contract is made of assertions

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmesh.errors import DuplicateEventError, RunNotFoundError, StoreError
from agentmesh.events import (
    AnswerChunk,
    CallFinished,
    Event,
    FeedbackGiven,
    RunFinished,
    RunStarted,
    fold,
    summarize,
)
from agentmesh.records import (
    AgentCall,
    AgentCard,
    CallStatus,
    Experience,
    Feedback,
    Limits,
    RegistrySnapshot,
    RouterState,
    RunStatus,
    Task,
)
from agentmesh.store.base import RunFilter, TraceStore
from agentmesh.testing import strategies as draw
from agentmesh.types import RunId

_BOUNDED = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def start(run_id: RunId, *, text: str = "What is 12 * 7?", at: float = 0.0, seq: int = 0) -> RunStarted:
    """Return the first event of a run."""
    rest = {"registry_version": "r", "embedder": "e", "router": "random", "mesh_seed": 7}
    return RunStarted(run_id=run_id, seq=seq, at=at, task=Task(text=text), limits=Limits(), **rest)


def call(run_id: RunId, seq: int, agent_id: str = "ada", cost_usd: str | None = "0.1") -> CallFinished:
    """Return the event of a call that went well."""
    cost = None if cost_usd is None else Decimal(cost_usd)
    return CallFinished(
        run_id=run_id, seq=seq, at=0, call=AgentCall(agent_id=agent_id, status=CallStatus.OK, cost_usd=cost)
    )


def end(run_id: RunId, seq: int, status: RunStatus = RunStatus.COMPLETED) -> RunFinished:
    """Return the last event of a run."""
    return RunFinished(run_id=run_id, seq=seq, at=1, status=status, answer="84", cost_usd=Decimal("0.1"), elapsed_s=1)


def whole(run_id: RunId, *, text: str = "What is 12 * 7?", at: float = 0.0, agent_id: str = "ada") -> list[Event]:
    """Return the log of a run of one call."""
    return [start(run_id, text=text, at=at), call(run_id, 1, agent_id), end(run_id, 2)]


def lesson(run_id: RunId, quality: float = 1.0) -> Experience:
    """Return an experience, not yet numbered."""
    return Experience(run_id=run_id, text="t", vector=b"", agent_id="ada", quality=quality, at=2)


def score(run_id: RunId, value: float = 1.0) -> Feedback:
    """Return a score of a run's answer."""
    return Feedback(run_id=run_id, score=value, at=2)


def state(sequence: int, *, router: str = "kernel", parameters: str = "abc", payload: bytes = b"x") -> RouterState:
    """Return a router state."""
    return RouterState(router=router, parameters=parameters, sequence=sequence, at=0, payload=payload)


class TraceStoreContract(ABC):
    """What every store keeps to, as tests. Inherit in a class named ``Test...`` and write :meth:`make_store`."""

    @abstractmethod
    def make_store(self) -> TraceStore:
        """Return an empty store."""

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

    @_BOUNDED
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

    @_BOUNDED
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

    # --- lists

    def test_runs_are_listed_newest_first_and_by_id_at_the_same_instant(self) -> None:
        """Limit and offset cut from that order."""
        with self.make_store() as store:
            for run_id, at in (("b", 1.0), ("a", 2.0), ("c", 1.0)):
                store.append(whole(run_id, at=at))
            assert [run.id for run in store.runs()] == ["a", "c", "b"]
            assert [run.id for run in store.runs(limit=1, offset=1)] == ["c"]
            assert store.runs(offset=3) == []
            assert store.count_runs() == 3

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            (RunFilter(), {"math", "art", "open"}),
            (RunFilter(status=RunStatus.COMPLETED), {"math"}),
            (RunFilter(status=RunStatus.RUNNING), {"open"}),
            (RunFilter(text="ÄPFEL"), {"math"}),
            (RunFilter(text="100%"), {"art"}),
            (RunFilter(text="1_0"), set()),
            (RunFilter(text="after\0nul"), {"open"}),
            (RunFilter(text="x" * 60_000), {"open"}),
            (RunFilter(text="\ud800"), set()),
            (RunFilter(agent_id="bob"), {"art"}),
            (RunFilter(agent_id="bo"), set()),
            (RunFilter(since=2.0), {"art", "open"}),
            (RunFilter(status=RunStatus.FAILED, agent_id="bob", text="sold", since=2.0), {"art"}),
            (RunFilter(status=RunStatus.COMPLETED, agent_id="bob"), set()),
        ],
    )
    def test_filters_narrow_the_list_and_the_count(self, where: RunFilter, found: set[str]) -> None:
        """Text is looked for in the whole task, letter by letter, ignoring case beyond ASCII."""
        with self.make_store() as store:
            store.append(whole("math", text="Wie viele äpfel?", at=1))
            store.append([start("art", text="100% sold", at=2), call("art", 1, "bob"), end("art", 2, RunStatus.FAILED)])
            store.append([start("open", text="y" * 300 + "X" * 60_000 + "after\0NUL", at=3)])
            assert {run.id for run in store.runs(where)} == found
            assert store.count_runs(where) == len(found)

    def test_a_running_run_shows_its_cost_so_far(self) -> None:
        """It becomes unknown with the first call of unknown cost, and final with the end."""
        with self.make_store() as store:
            costs = []
            for event in (start("r"), call("r", 1), call("r", 2, "bob", "0.25"), call("r", 3, "cy", None), end("r", 4)):
                store.append([event])
                costs.append(store.runs()[0].cost_usd)
            assert costs == [Decimal(0), Decimal("0.1"), Decimal("0.35"), None, Decimal("0.1")]
            assert store.runs()[0].agents == ("ada", "bob", "cy")

    # --- feedback and experiences

    def test_feedback_becomes_the_next_event_of_its_run(self) -> None:
        """It leaves the summary as it was."""
        with self.make_store() as store:
            store.append(whole("r"))
            before = store.runs()
            assert store.add_feedback(score("r", 0.5)) == []
            assert store.events("r")[3:] == [FeedbackGiven(run_id="r", seq=3, at=2, feedback=score("r", 0.5))]
            assert store.runs() == before
            assert store.tail()[-1].event.seq == 3

    def test_a_run_that_has_not_finished_takes_no_feedback(self) -> None:
        """Its next seq belongs to who is writing it."""
        with self.make_store() as store:
            store.append([start("r")])
            with pytest.raises(StoreError, match=r"'r'.*not finished"):
                store.add_feedback(score("r"), [lesson("r")])
            assert store.events("r") == [start("r")]
            assert store.last_experience() == 0

    def test_experiences_are_numbered_from_one_without_gaps(self) -> None:
        """Over several calls."""
        with self.make_store() as store:
            store.append(whole("r"))
            assert store.last_experience() == 0
            first = store.add_feedback(score("r"), [lesson("r", 0.1), lesson("r", 0.2)])
            second = store.add_feedback(score("r"), [lesson("r", 0.3)])
            assert [item.sequence for item in first + second] == [1, 2, 3]
            assert [item.quality for item in first + second] == [0.1, 0.2, 0.3]
            assert store.experiences() == first + second
            assert store.last_experience() == 3

    @pytest.mark.parametrize(
        ("after", "until", "limit", "found"),
        [
            (0, None, None, [1, 2, 3, 4]),
            (1, 3, None, [2, 3]),
            (0, None, 2, [1, 2]),
            (1, 3, 1, [2]),
            (4, None, None, []),
        ],
    )
    def test_experiences_are_read_in_pieces(
        self, after: int, until: int | None, limit: int | None, found: list[int]
    ) -> None:
        """``after`` is left out, ``until`` is in."""
        with self.make_store() as store:
            store.append(whole("r"))
            store.add_feedback(score("r"), [lesson("r")] * 4)
            got = store.experiences(after, until=until, limit=limit)
            assert [item.sequence for item in got] == found

    @_BOUNDED
    @given(st.lists(draw.experiences("r"), max_size=3), draw.feedbacks("r"))
    def test_any_experience_comes_back_as_it_was(self, learned: list[Experience], given_score: Feedback) -> None:
        """But for its number."""
        with self.make_store() as store:
            store.append(whole("r"))
            stored = store.add_feedback(given_score, learned)
            assert [item.model_copy(update={"sequence": 0}) for item in stored] == learned
            assert store.experiences() == stored
            last = store.events("r")[-1]
            assert isinstance(last, FeedbackGiven)
            assert last.feedback == given_score

    # --- registries, routers and their states

    @_BOUNDED
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

    @_BOUNDED
    @given(draw.router_states)
    def test_any_state_comes_back_as_it_was(self, stored: RouterState) -> None:
        """To the last byte."""
        with self.make_store() as store:
            store.put_state(stored)
            assert store.nearest_state(stored.router, stored.parameters) == stored

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
        for ask in (store.runs, store.tail, store.check, store.last_experience, lambda: store.append(whole("s"))):
            with pytest.raises(StoreError, match="closed"):
                ask()
