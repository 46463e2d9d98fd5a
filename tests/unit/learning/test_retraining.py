"""Retraining on the log of a real database: promoted where it is better, kept where it is not or cannot be known."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from agentmesh import Learning, Mesh, Task, open_store
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import AgentMeshError, ConfigError, MissingExtraError, RoutingError
from agentmesh.learning.learner import state_key
from agentmesh.learning.pools import RecordedTasks, pool_of_cards, pool_of_log
from agentmesh.learning.promotion import TRIES
from agentmesh.learning.retraining import log_begins, parted, retrain
from agentmesh.learning.tables import table_of
from agentmesh.learning.trial import Retraining, Trial
from agentmesh.learning.versions import (
    StoredRouter,
    find_routers,
    only_router,
    put_router_mark,
    reset_router,
    rollback_router,
    router_at,
)
from agentmesh.packing import pack_vector
from agentmesh.preferences import Preference
from agentmesh.records import AgentCard, Experience, Feedback, Objective, RouterMark, RouterState
from agentmesh.routing.base import Outcomes, RouteContext, Router, ScoringRouter, TaskFeatures
from agentmesh.routing.category import CategoryRouter
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.linear import LinearRouter
from agentmesh.routing.named import router_named
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.store.base import TraceStore
from agentmesh.store.sql import SqlStore
from agentmesh.store.sqlite import SqliteFile
from agentmesh.testing.agents import EchoAgent
from agentmesh.testing.stores import whole

EMBEDDER = HashingEmbedder()
KINDS = {"sums": "adder", "rhymes": "poet"}
WRONG = {"sums": "poet", "rhymes": "adder"}
EASY = Trial(least_support=10.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    with open_store(f"sqlite:///{tmp_path / 'mesh.db'}") as opened:
        yield opened


def text_of(place: int) -> tuple[str, str]:
    kind = ("sums", "rhymes")[place % 2]
    return kind, f"add {place} and 2" if kind == "sums" else f"a rhyme on the moon number {place}"


def outcome(place: int, agent_id: str, right: dict[str, str], **more: Any) -> Experience:
    kind, text = text_of(place)
    known: dict[str, Any] = {"embedder": EMBEDDER.version, "type_hints": (kind,), "propensity": 1.0, **more}
    return Experience(
        run_id=f"r{place}",
        text=text,
        vector=pack_vector(EMBEDDER.embed([text])[0]),
        agent_id=agent_id,
        quality=float(right[kind] == agent_id),
        at=float(place),
        **known,
    )


def teach(store: TraceStore, runs: int, right: dict[str, str] | None = None, **more: Any) -> None:
    """Store runs in which both agents were called and scored, or those in ``agents``."""
    agents: Sequence[str] = more.pop("agents", ("adder", "poet"))
    first = store.count_runs()
    for place in range(first, first + runs):
        events = whole(f"r{place}", at=float(place))
        store.append([events[0].model_copy(update={"embedder": EMBEDDER.version}), *events[1:]])
        lessons = [outcome(place, agent_id, right or KINDS, **more) for agent_id in agents]
        store.add_feedback(Feedback(run_id=f"r{place}", score=1.0, at=float(place)), lessons)


def misled(store: TraceStore, name: str, router: Router | None = None) -> Router:
    """Let a router serve that was fitted on a table in which everything is the wrong way round."""
    built = router or router_named(name)
    assert isinstance(built, ScoringRouter)
    root = built.parameters_hash
    store.put_router(name, root, json.dumps(dict(built.parameters)))
    kinds, texts = zip(*(text_of(place) for place in range(400)), strict=True)
    quality = np.array([[float(WRONG[kind] == agent) for agent in ("adder", "poet")] for kind in kinds])
    table = Outcomes(("adder", "poet"), EMBEDDER.embed(texts), texts, kinds, quality, np.full(quality.shape, np.nan))
    built.fit(table)
    mark = RouterMark(router=state_key(name, EMBEDDER.version), root=root, parameters="", kind="trained", at=0.0)
    put_router_mark(store, mark, built)
    return built


def fresh(store: TraceStore, name: str) -> None:
    """Let a router be known that has learned nothing yet."""
    router = router_named(name)
    store.put_router(name, router.parameters_hash, json.dumps(dict(router.parameters)))


def stored_in(store: TraceStore, name: str = "category") -> StoredRouter:
    return only_router(find_routers(store, name))


def serving(store: TraceStore, name: str = "category") -> Router:
    return router_at(store, stored_in(store, name))


def decisions(router: Router) -> list[tuple[str, bytes]]:
    assert isinstance(router, ScoringRouter)
    cards = [AgentCard(id=agent_id, description="") for agent_id in ("adder", "poet")]
    pool, found = pool_of_cards(cards, EMBEDDER), []
    for place in range(1000, 1020):
        features = TaskFeatures(vector=EMBEDDER.embed([text_of(place)[1]])[0], text=text_of(place)[1])
        decision = router.decide(features, pool, RouteContext(seed=place))
        found.append((decision.selected[0].agent_id, decision.scores))
    return found


SMALL_GNN = GnnRouter(hidden=8, passes=1, neighbours=8)


@pytest.mark.timeout(60)  # one of them imports torch
@pytest.mark.parametrize("router", [CategoryRouter(), KernelRouter(), LinearRouter(learning_rate=0.0), SMALL_GNN])
def test_a_candidate_that_is_clearly_better_is_promoted(store: TraceStore, router: Router) -> None:
    name = misled(store, router.name, router).name
    teach(store, 75)
    before = serving(store, name)
    found = retrain(store, stored_in(store, name), trial=Trial(held_back=0.3))
    assert (found.promoted, found.reason) == (True, "")
    assert found.comparison is not None
    assert found.comparison.interval is not None
    assert found.comparison.interval[0] > 0
    assert found.replaced == before.version
    after = serving(store, name)
    assert found.version == after.version != before.version
    assert isinstance(after, ScoringRouter)
    assert after.base


def test_a_promoted_router_has_learned_what_was_held_back(store: TraceStore) -> None:
    misled(store, "category")
    teach(store, 60)
    found = retrain(store, stored_in(store), trial=EASY)
    assert (found.outcomes, found.fitted, found.held_back) == (120, 90, 30)
    assert found.cut == 91
    assert found.mark is not None
    assert (found.mark.sequence, found.mark.kind) == (122, "trained")
    assert found.mark.note.startswith("fitted anew on 90 outcomes; 1.000 instead of 0.")
    assert [mark.sequence for mark in stored_in(store).marks] == [1, 122]
    expected = CategoryRouter()
    log = store.experiences()
    expected.fit(table_of(log[:90], pool_of_log(store, log, EMBEDDER)))
    for experience in log[90:]:
        expected.learn(experience)
    assert serving(store).snapshot().payload == expected.snapshot().payload


def test_a_rollback_brings_back_every_decision_bit_for_bit(store: TraceStore) -> None:
    misled(store, "linear", LinearRouter(learning_rate=0.0))
    teach(store, 60)
    before = decisions(serving(store, "linear"))
    found = retrain(store, stored_in(store, "linear"), trial=EASY)
    assert found.replaced is not None
    assert found.version == serving(store, "linear").version
    assert decisions(serving(store, "linear")) != before
    rollback_router(store, stored_in(store, "linear"), found.replaced)
    assert decisions(serving(store, "linear")) == before


def unchanged(store: TraceStore, found: Retraining, reason: str, name: str = "category") -> None:
    assert (found.promoted, found.reason, found.version, found.mark) == (False, reason, None, None)
    assert not [mark for mark in stored_in(store, name).marks if mark.sequence > 1]


def test_a_candidate_that_is_not_better_is_kept_from_serving(store: TraceStore) -> None:
    fresh(store, "category")
    teach(store, 75)
    before = serving(store).snapshot()
    found = retrain(store, stored_in(store), trial=EASY)
    unchanged(store, found, "not better")
    assert found.comparison is not None
    assert found.comparison.difference == 0.0
    assert found.comparison.tasks == 15
    assert serving(store).snapshot() == before


def test_the_margin_is_to_be_exceeded(store: TraceStore) -> None:
    misled(store, "category")
    teach(store, 60)
    unchanged(store, retrain(store, stored_in(store), trial=Trial(margin=1.0, least_support=10.0)), "not better")


def test_too_few_outcomes_decide_nothing(store: TraceStore) -> None:
    fresh(store, "category")
    teach(store, 29)
    found = retrain(store, stored_in(store))
    unchanged(store, found, "too few outcomes")
    assert (found.outcomes, found.comparison) == (58, None)


@pytest.mark.parametrize("propensity", [None, float("nan")])
def test_outcomes_whose_chance_is_not_known_give_too_little_support(
    store: TraceStore, propensity: float | None
) -> None:
    fresh(store, "category")
    teach(store, 40, propensity=propensity)
    unchanged(store, retrain(store, stored_in(store)), "too little support")


def test_a_candidate_whose_choices_were_hardly_called_has_too_little_support(store: TraceStore) -> None:
    misled(store, "category")
    teach(store, 60)
    teach(store, 60, agents=("adder",), propensity=0.98)
    found = retrain(store, stored_in(store))
    unchanged(store, found, "too little support")
    assert found.comparison is not None
    assert (found.comparison.tasks, found.comparison.candidate.known) == (36, 18)


def test_draws_without_support_give_no_interval(store: TraceStore) -> None:
    fresh(store, "category")
    teach(store, 40)
    teach(store, 29, propensity=None)
    teach(store, 1, agents=("adder", "poet"))
    trial = Trial(held_back=0.43, least_support=0.0)
    unchanged(store, retrain(store, stored_in(store), trial=trial), "no interval")
    forced = retrain(store, stored_in(store), trial=trial.model_copy(update={"force": True}))
    assert forced.mark is not None
    assert forced.mark.note.endswith("1.000 instead of 1.000 on 30 held back")


def test_by_force_a_candidate_is_promoted_whatever_it_shows(store: TraceStore) -> None:
    fresh(store, "category")
    teach(store, 60)
    found = retrain(store, stored_in(store), trial=Trial(force=True, least_support=10.0))
    assert (found.promoted, found.reason) == (True, "not better")
    assert found.mark is not None
    assert found.mark.note == (
        "forced, not better: fitted anew on 90 outcomes; 1.000 instead of 1.000 on 15 held back (+0.000 to +0.000)"
    )


def test_by_force_a_short_log_is_fitted_whole(store: TraceStore) -> None:
    fresh(store, "category")
    teach(store, 3)
    found = retrain(store, stored_in(store), trial=Trial(force=True))
    assert (found.promoted, found.reason, found.fitted, found.held_back) == (True, "too few outcomes", 6, 0)
    assert found.mark is not None
    assert found.mark.note == "forced, too few outcomes: fitted anew on 6 outcomes"
    assert found.replaced == f"{CategoryRouter().parameters_hash}@6"


def test_by_force_an_empty_log_is_not_fitted(store: TraceStore) -> None:
    misled(store, "category")
    assert retrain(store, stored_in(store), trial=Trial(force=True)).reason == "too few outcomes"


def test_what_serves_is_judged_only_on_what_came_after_its_mark(store: TraceStore) -> None:
    misled(store, "category")
    teach(store, 60)
    assert retrain(store, stored_in(store), trial=EASY).promoted
    teach(store, 14)
    assert retrain(store, stored_in(store), trial=EASY).reason == "too few outcomes"
    teach(store, 1)
    again = retrain(store, stored_in(store), trial=EASY)
    assert (again.reason, again.cut, again.held_back) == ("not better", 122, 30)


def test_outcomes_before_a_reset_count_no_more(store: TraceStore) -> None:
    fresh(store, "category")
    teach(store, 40, WRONG)
    reset_router(store, stored_in(store))
    teach(store, 35)
    assert retrain(store, stored_in(store)).outcomes == 70


def marked(kind: Any, sequence: int, target: int | None = None) -> RouterMark:
    return RouterMark(sequence=sequence, router="k", root="r", parameters="p", kind=kind, target=target, at=0.0)


def test_a_log_begins_at_the_last_reset_that_holds() -> None:
    assert log_begins([]) == 0
    assert log_begins([marked("reset", 5), marked("trained", 9)]) == 5
    assert log_begins([marked("reset", 5), marked("rollback", 9, 4)]) == 0
    assert log_begins([marked("reset", 5), marked("reset", 9), marked("rollback", 12, 7)]) == 5


def numbered(count: int, *, tasks: int) -> list[Experience]:
    return [
        Experience(sequence=place + 1, run_id=f"r{place % tasks}", text="t", vector=b"", agent_id="a", quality=1, at=0)
        for place in range(count)
    ]


def test_a_task_that_was_scored_before_the_cut_is_not_held_back() -> None:
    assert parted(numbered(100, tasks=60), share=0.5) is None
    found = parted(numbered(100, tasks=100), share=0.5)
    assert found is not None
    assert (len(found.older), len(found.newer), found.cut) == (50, 50, 50)
    later = parted(numbered(100, tasks=100), share=0.5, not_before=60)
    assert later is not None
    assert (len(later.older), later.cut) == (60, 60)


class Failing(CategoryRouter):
    """A router that cannot be fitted, for a reason of its choice."""

    error: ClassVar[BaseException] = ValueError("the matrix is singular")

    def _fit(self, outcomes: Outcomes) -> None:
        raise self.error


class OutOfMemory(Failing):
    error: ClassVar[BaseException] = MemoryError()


class Untrainable(Failing):
    error: ClassVar[BaseException] = MissingExtraError("torch", extra="gnn")


class Interrupted(Failing):
    error: ClassVar[BaseException] = KeyboardInterrupt()


@pytest.mark.parametrize(
    ("kind", "expected", "words"),
    [
        (Failing, RoutingError, "retraining router 'category' failed, and nothing was changed: ValueError: the matrix"),
        (OutOfMemory, RoutingError, "retraining router 'category' ran out of memory, and nothing was changed"),
        (Untrainable, MissingExtraError, r"'torch' is not installed; run: pip install 'agentmesh-routing\[gnn\]'"),
        (Interrupted, KeyboardInterrupt, "^$"),
    ],
)
def test_a_fit_that_fails_leaves_the_serving_version(
    store: TraceStore, kind: type[Failing], expected: type[BaseException], words: str
) -> None:
    misled(store, "category")
    teach(store, 40)
    before = serving(store).snapshot()
    with pytest.raises(expected, match=words):
        retrain(store, stored_in(store), fresh=kind())
    assert serving(store).snapshot() == before
    assert len(stored_in(store).marks) == 1


def test_a_store_that_cannot_be_read_is_an_error(store: TraceStore) -> None:
    misled(store, "category")
    stored = stored_in(store)
    store.close()
    with pytest.raises(AgentMeshError, match="is closed"):
        retrain(store, stored)


def test_a_router_that_is_not_fitted_is_refused(store: TraceStore) -> None:
    fresh(store, "cosine")
    teach(store, 1)
    with pytest.raises(ConfigError, match="'cosine' is not fitted on outcomes"):
        retrain(store, stored_in(store, "cosine"))


def test_a_router_that_never_learned_is_refused(store: TraceStore) -> None:
    fresh(store, "category")
    with pytest.raises(ConfigError, match="'category' has learned nothing yet"):
        retrain(store, stored_in(store))


class Busy(CategoryRouter):
    """A router in whose fitting something happens elsewhere."""

    happening: ClassVar[list[Any]] = []

    def _fit(self, outcomes: Outcomes) -> None:
        super()._fit(outcomes)
        while self.happening:
            self.happening.pop()()


def test_what_comes_in_while_it_is_fitted_is_learned_before_it_serves(store: TraceStore) -> None:
    misled(store, "category")
    teach(store, 60)
    Busy.happening.append(lambda: teach(store, 2))
    found = retrain(store, stored_in(store), trial=EASY, fresh=Busy())
    assert found.mark is not None
    assert found.mark.sequence == store.last_experience() == 126
    router = serving(store)
    assert isinstance(router, CategoryRouter)
    assert router._ledger.counts.sum() == 124


class HurriedStore(SqlStore):
    """A store in which an outcome comes in just before a mark, ``hurry`` times."""

    hurry = 0

    def put_mark(self, mark: RouterMark, state: RouterState) -> RouterMark:
        if self.hurry:
            self.hurry -= 1
            teach(self, 1, agents=("adder",))
        return super().put_mark(mark, state)


@pytest.mark.parametrize(("hurry", "marks", "missed"), [(1, 2, 0), (2, 3, 0), (TRIES, TRIES, 1)])
def test_what_comes_in_just_before_the_mark_is_learned_under_another_one(
    tmp_path: Path, hurry: int, marks: int, missed: int
) -> None:
    path = tmp_path / "mesh.db"
    with HurriedStore(SqliteFile(path, url=f"sqlite:///{path}")) as store:
        misled(store, "category")
        teach(store, 60)
        store.hurry = hurry
        found = retrain(store, stored_in(store), trial=EASY)
        assert len(stored_in(store).marks) == 1 + marks
        assert found.version == serving(store).version
        assert found.replaced is not None
        assert found.replaced.endswith("@122")  # the last outcome before the first mark
        router = serving(store)
        assert isinstance(router, CategoryRouter)
        assert router._ledger.counts.sum() == 120 + hurry - missed
        assert len(store.faults()) == missed


def test_of_two_retrainings_at_once_the_second_serves(store: TraceStore) -> None:
    misled(store, "category")
    teach(store, 60)
    inner: list[Retraining] = []
    with open_store(store.url) as other:
        Busy.happening.append(lambda: inner.append(retrain(other, stored_in(other), trial=EASY)))
        outer = retrain(store, stored_in(store), trial=EASY, fresh=Busy())
    assert inner[0].promoted
    assert outer.promoted
    assert outer.version == serving(store).version
    assert outer.replaced == inner[0].version


def test_a_router_that_was_set_back_meanwhile_stays_so(store: TraceStore) -> None:
    misled(store, "category")
    teach(store, 60)
    Busy.happening.append(lambda: reset_router(store, stored_in(store)))
    found = retrain(store, stored_in(store), trial=EASY, fresh=Busy())
    assert (found.promoted, found.reason) == (False, "set back meanwhile")
    assert stored_in(store).marks[-1].kind == "reset"


def test_the_newest_tasks_fill_a_small_table(store: TraceStore) -> None:
    fresh(store, "kernel")
    teach(store, 60)
    told: list[str] = []
    retrain(store, stored_in(store, "kernel"), trial=Trial(max_tasks=7), say=told.append)
    assert told == [f"reading {store.url}", "fitting kernel on 7 tasks", "comparing on 30 outcomes that were held back"]


async def test_held_back_tasks_are_decided_on_what_they_were_routed_on(store: TraceStore) -> None:
    thrifty = Objective(quality=1.0, cost=0.5)
    never = Preference(domain="sums", action="forbid", agents=("bob",))
    agents = [EchoAgent("ada"), EchoAgent("bob")]
    async with Mesh(
        agents, store=store, embedder=EMBEDDER, preferences=[never], learning=Learning(mode="loop")
    ) as mesh:
        run = await mesh.run(Task(text="What is 1 + 2?", type_hints=("sums",), objective=thrifty))
        await mesh.feedback(run.id, 1.0)
    (experience,) = store.experiences()
    nobody = pool_of_cards([], EMBEDDER)
    recorded = RecordedTasks(store, nobody, EMBEDDER)
    found = recorded.of(experience)
    assert run.decision is not None
    assert (found.seed, found.pool.ids) == (run.decision.seed, ("ada", "bob"))
    assert found.pool.mask.tolist() == [True, False]
    assert (found.features.text, found.objective) == ("What is 1 + 2?", thrifty)
    assert recorded.of(experience).pool.ids == ("ada", "bob")
    assert recorded.of(experience.model_copy(update={"run_id": "gone"})).pool is nobody
    other = HashingEmbedder(dimension=64)
    assert RecordedTasks(store, nobody, other).of(experience).pool.vectors.shape == (2, 64)
