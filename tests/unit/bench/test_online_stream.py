"""The order of tasks, what a drift does to outcomes, who is in the pool, and what is revealed."""

import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from agentmesh.bench.online_plan import DriftSpec, NewAgentSpec, OnlinePlan, RouterSpec
from agentmesh.bench.online_reference import GROUP_BEST, ORACLE, SINGLE_BEST, reference_traces
from agentmesh.bench.online_run import Job, School, ShownTasks, run_job
from agentmesh.bench.online_stream import (
    Arrival,
    Drift,
    Workload,
    arrival_of,
    best_on_train,
    drift_of,
    pool_without,
    prepare_online,
    stream_of,
)
from agentmesh.bench.routing_run import NOBODY
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, RecordedSetError
from agentmesh.packing import unpack_vector
from agentmesh.recorded import AgentLine, SetInfo, TaskLine, load_set, write_set
from agentmesh.records import Experience, RouteDecision
from agentmesh.routing.base import AgentPool, RouteContext, TaskFeatures
from agentmesh.routing.neighbours import KernelRouter
from agentmesh.routing.objective import SCENARIOS

WORDS = HashingEmbedder(dimension=64)
CHEAP, DEAR, WEAK = 0, 1, 2


def prepared(folder: Path, plan: OnlinePlan | None = None) -> Workload:
    return prepare_online(load_set(folder), WORDS, plan or OnlinePlan())


def run(folder: Path, plan: OnlinePlan, router: str = "random", **more: object):
    workload = prepared(folder, plan)
    return run_job(Job(workload, plan, RouterSpec.parse(router), 0, plan.steps or len(workload), **more))


def test_the_stream_holds_train_and_test_or_train_alone(outcome_set: Path) -> None:
    both, train = prepared(outcome_set), prepared(outcome_set, OnlinePlan(split="train"))
    assert (len(both), int(both.train.sum()), len(train), int(train.train.sum())) == (90, 60, 60, 60)


def test_each_task_comes_once_before_one_comes_again(outcome_set: Path) -> None:
    rows = stream_of(prepared(outcome_set), seed=0, steps=200).rows.tolist()
    assert sorted(rows[:90]) == sorted(rows[90:180]) == list(range(90))
    assert rows[:90] != rows[90:180]


def test_the_seed_fixes_the_order(outcome_set: Path) -> None:
    workload = prepared(outcome_set)
    first, same, other = (stream_of(workload, seed=seed, steps=90).rows.tolist() for seed in (3, 3, 4))
    assert first == same != other


def test_tasks_that_nobody_fits_are_left_out(label_set: Path) -> None:
    workload = prepared(label_set)
    assert len(workload) == 60
    assert workload.quality.max(axis=1).min() == 1.0


def test_agents_start_from_their_descriptions(tmp_path: Path) -> None:
    for name, examples in (("with", ("one two",)), ("without", ())):
        agents = [AgentLine(id="a", description="Adds.", examples=examples), AgentLine(id="b", description="Rhymes.")]
        tasks = [TaskLine(id="t", split="train", text="one", labels=("a",))]
        write_set(tmp_path / name, SetInfo(name=name, kind="labels"), agents=agents, tasks=tasks)
    plan = OnlinePlan(split="train")
    shown, hidden = (prepared(tmp_path / name, plan).pool.vectors for name in ("with", "without"))
    assert shown.tolist() == hidden.tolist()


def test_a_set_without_train_tasks_is_refused(tmp_path: Path) -> None:
    tasks = [TaskLine(id="t", split="test", text="one", labels=("a",))]
    agents = [AgentLine(id="a", description="Adds.")]
    write_set(tmp_path / "set", SetInfo(name="late", kind="labels"), agents=agents, tasks=tasks)
    with pytest.raises(RecordedSetError, match="'late' has no 'train' tasks"):
        prepared(tmp_path / "set")


def test_a_drift_changes_one_agent_on_one_group_from_its_step_on(outcome_set: Path) -> None:
    workload = prepared(outcome_set)
    before = stream_of(workload, seed=1, steps=900)
    after = stream_of(workload, seed=1, steps=900, drift=Drift(CHEAP, "history", 100, 0.2))
    steps, agents = np.nonzero(before.quality != after.quality)
    assert set(agents.tolist()) == {CHEAP}
    assert steps.min() >= 100
    assert {workload.groups[row] for row in after.rows[steps]} == {"history"}
    hit = workload.in_group("history")[after.rows] & (np.arange(900) >= 100)
    assert after.quality[hit, CHEAP].mean() == pytest.approx(0.2, abs=0.06)


def test_a_drift_to_0_or_1_is_certain_and_one_on_no_group_hits_all_tasks(outcome_set: Path) -> None:
    workload = prepared(outcome_set)
    for quality in (0.0, 1.0):
        stream = stream_of(workload, seed=1, steps=50, drift=Drift(DEAR, None, 10, quality))
        assert set(stream.quality[10:, DEAR].tolist()) == {quality}


def test_best_is_the_best_on_train_of_all_or_of_a_group(outcome_set: Path) -> None:
    workload = prepared(outcome_set)
    assert [best_on_train(workload, group) for group in (None, "maths", "history")] == [DEAR, DEAR, CHEAP]
    assert best_on_train(workload, "history", without=CHEAP) == DEAR


def drift_at(workload: Workload, text: str) -> Drift | None:
    return drift_of(workload, OnlinePlan(drift=DriftSpec.parse(text)), 90)


def test_a_drift_names_an_agent_by_id_or_as_the_best(outcome_set: Path) -> None:
    workload = prepared(outcome_set)
    assert drift_at(workload, "c-weak@5:1") == Drift(WEAK, None, 5, 1.0)
    assert drift_at(workload, "c-weak:maths@5:1") == Drift(WEAK, "maths", 5, 1.0)
    assert drift_at(workload, "best:history@5:0.2") == Drift(CHEAP, "history", 5, 0.2)
    assert drift_of(workload, OnlinePlan(), 90) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nobody@5:0.2", "agent 'nobody' is unknown; accepted: 'best', 'a-cheap', 'b-dear', 'c-weak'"),
        ("nobody:maths@5:0.2", "agent 'nobody:maths' is unknown"),
        ("best:art@5:0.2", "group 'art' of 'best:art' is unknown; accepted: 'history', 'maths'"),
        ("best@0:0.2", "drift is at step 0; accepted: 1 to 89"),
        ("best@90:0.2", "drift is at step 90; accepted: 1 to 89"),
    ],
)
def test_a_drift_that_does_not_fit_the_set_is_refused(outcome_set: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        drift_at(prepared(outcome_set), text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nobody@5", "agent 'nobody' is unknown"),
        ("best:maths@5", "accepted: an agent's id or 'best', without a group"),
        ("best@90", "new agent is at step 90; accepted: 1 to 89"),
    ],
)
def test_a_new_agent_that_does_not_fit_the_set_is_refused(outcome_set: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        arrival_of(prepared(outcome_set), OnlinePlan(new_agent=NewAgentSpec.parse(text)), 90)
    assert said in str(caught.value)


def test_the_only_agent_of_a_set_cannot_be_new(tmp_path: Path) -> None:
    tasks = [TaskLine(id=f"t{place}", split="train", text="one", labels=("a",)) for place in range(3)]
    agents = [AgentLine(id="a", description="Adds.")]
    write_set(tmp_path / "set", SetInfo(name="lone", kind="labels"), agents=agents, tasks=tasks)
    with pytest.raises(ConfigError, match="the only one of the set"):
        arrival_of(prepared(tmp_path / "set", OnlinePlan(split="train")), OnlinePlan(new_agent=NewAgentSpec("a", 1)), 3)


def test_a_pool_without_an_agent_keeps_the_others_and_has_its_own_version(outcome_set: Path) -> None:
    pool = prepared(outcome_set).pool
    left = pool_without(pool, DEAR)
    assert left.ids == ("a-cheap", "c-weak") == tuple(card.id for card in left.cards)
    assert left.vectors.tolist() == pool.vectors[[CHEAP, WEAK]].tolist()
    assert left.index == {"a-cheap": 0, "c-weak": 1}
    assert left.registry_version != pool.registry_version


def test_an_agent_that_has_not_come_is_never_chosen(outcome_set: Path) -> None:
    trace = run(outcome_set, OnlinePlan(steps=300), arrival=Arrival(DEAR, 200))
    assert DEAR not in trace.chosen[:200]
    assert DEAR in trace.chosen[200:]


def test_an_agent_without_an_outcome_on_a_task_is_not_chosen_for_it(outcome_set: Path) -> None:
    plan = OnlinePlan()
    workload = prepared(outcome_set)
    quality = workload.quality.copy()
    quality[::2, WEAK] = np.nan
    partly = replace(workload, quality=quality)
    trace = run_job(Job(partly, plan, RouterSpec.parse("random"), 0, 300, arrival=Arrival(WEAK, 50)))
    assert np.isfinite(trace.quality).all()
    assert WEAK in trace.chosen


def test_the_same_job_gives_the_same_choices(outcome_set: Path) -> None:
    first, same = (run(outcome_set, OnlinePlan(), "best_single") for _ in range(2))
    assert first.chosen.tolist() == same.chosen.tolist()


def test_a_router_that_abstains_gets_nothing_pays_nothing_and_learns_nothing(outcome_set: Path) -> None:
    trace = run(outcome_set, OnlinePlan(explore=0.0), 'best_single:policy="threshold:2"')
    assert set(trace.chosen.tolist()) == {NOBODY}
    assert (trace.quality.sum(), trace.cost.sum()) == (0.0, 0.0)
    assert np.isnan(trace.learn_ms).all()


def lessons(folder: Path, plan: OnlinePlan, *, step: int = 0, arrival: Arrival | None = None):
    workload = prepared(folder, plan)
    job = Job(workload, plan, RouterSpec.parse("random"), 0, 90, arrival=arrival)
    stream, tasks = stream_of(workload, seed=0, steps=90), ShownTasks(job)
    decision = decided(tasks.features[int(stream.rows[step])], workload.pool)
    return workload, stream, School(job, stream).lessons(step, CHEAP, decision, tasks)


def decided(features: TaskFeatures, pool: AgentPool) -> RouteDecision:
    """Return a decision that took the cheap agent with a chance of a quarter."""
    decision = KernelRouter().decide(features, pool, RouteContext(seed=0))
    return decision.model_copy(update={"log_propensity": math.log(0.25)})


def test_a_bandit_is_told_what_the_called_agent_brought_and_nothing_else(outcome_set: Path) -> None:
    workload, stream, (lesson,) = lessons(outcome_set, OnlinePlan(), step=7)
    row = int(stream.rows[7])
    assert (lesson.agent_id, lesson.quality, lesson.propensity) == ("a-cheap", float(stream.quality[7, CHEAP]), 0.25)
    assert (lesson.sequence, lesson.at, lesson.cost_usd, lesson.latency_s) == (1, 420.0, Decimal("0.001"), None)
    assert (lesson.text, lesson.type_hints) == (workload.texts[row], ())
    assert unpack_vector(lesson.vector).tolist() == workload.vectors[row].tolist()
    shown = {
        one.agent_id: one.factors for one in decided(TaskFeatures(workload.vectors[row], ""), workload.pool).candidates
    }
    assert lesson.factors == shown["a-cheap"] != {}
    assert Experience.model_validate(lesson.model_dump()) == lesson


def test_full_feedback_tells_what_every_agent_in_the_pool_brought(outcome_set: Path) -> None:
    _, stream, told = lessons(outcome_set, OnlinePlan(feedback="full"))
    assert [(one.sequence, one.agent_id, one.propensity) for one in told] == [
        (1, "a-cheap", 1.0),
        (2, "b-dear", 1.0),
        (3, "c-weak", 1.0),
    ]
    assert [one.quality for one in told] == stream.quality[0].tolist()


def test_full_feedback_hides_an_agent_that_has_not_come(outcome_set: Path) -> None:
    plan, arrival = OnlinePlan(feedback="full"), Arrival(DEAR, 10)
    early, late = (lessons(outcome_set, plan, step=step, arrival=arrival)[2] for step in (9, 10))
    assert [one.agent_id for one in early] == ["a-cheap", "c-weak"]
    assert [one.agent_id for one in late] == ["a-cheap", "b-dear", "c-weak"]


def test_groups_are_told_when_types_are_given_and_not_otherwise(outcome_set: Path) -> None:
    workload, stream, (lesson,) = lessons(outcome_set, OnlinePlan(types="given"))
    assert lesson.type_hints == (workload.groups[stream.rows[0]],)
    job = Job(workload, OnlinePlan(types="given"), RouterSpec.parse("random"), 0, 90)
    assert {task.type_hints for task in ShownTasks(job).features} == {("maths",), ("history",)}
    hidden = replace(job, plan=OnlinePlan(types="discovered"))
    assert {task.type_hints for task in ShownTasks(hidden).features} == {()}


def test_a_cost_that_is_not_recorded_is_unknown(label_set: Path) -> None:
    _, _, (lesson,) = lessons(label_set, OnlinePlan())
    assert lesson.cost_usd is None


def test_what_is_revealed_of_the_others_changes_who_is_chosen(outcome_set: Path) -> None:
    stuck = "best_single:prior=0.0:strength=1"  # whoever brings anything first is kept unless others are seen
    bandit, full = (run(outcome_set, OnlinePlan(feedback=told, explore=0.0), stuck) for told in ("bandit", "full"))
    assert set(bandit.chosen.tolist()) == {CHEAP}
    assert DEAR in full.chosen


def test_references_are_the_best_by_group_the_best_of_all_and_the_best_by_task(outcome_set: Path) -> None:
    workload = prepared(outcome_set)
    stream = stream_of(workload, seed=0, steps=90)
    traces = reference_traces(workload, stream, SCENARIOS["quality"], drift=None, arrival=None)
    group, single, oracle = traces
    assert [trace.label for trace in traces] == [GROUP_BEST, SINGLE_BEST, ORACLE]
    assert set(single.chosen.tolist()) == {DEAR}
    assert group.quality.mean() == oracle.quality.mean() == 1.0
    assert single.quality.mean() == pytest.approx(0.8)


def test_references_know_of_a_drift_and_of_an_agent_that_is_not_there(outcome_set: Path) -> None:
    workload, drift, arrival = prepared(outcome_set), Drift(CHEAP, "history", 30, 0.2), Arrival(DEAR, 60)
    stream = stream_of(workload, seed=0, steps=90, drift=drift)
    traces = reference_traces(workload, stream, SCENARIOS["quality"], drift=drift, arrival=arrival)
    history = workload.in_group("history")[stream.rows]
    group = traces[0].chosen
    assert all(DEAR not in trace.chosen[:60] for trace in traces)
    assert set(group[:60][history[:60]].tolist()) == {CHEAP}
    assert set(group[60:][history[60:]].tolist()) == {DEAR}


def test_a_group_that_train_does_not_have_gets_the_best_of_all(outcome_set: Path) -> None:
    workload = prepared(outcome_set)
    renamed = tuple(group if train else "new" for group, train in zip(workload.groups, workload.train, strict=True))
    workload = replace(workload, groups=renamed)
    stream = stream_of(workload, seed=0, steps=90)
    group = reference_traces(workload, stream, SCENARIOS["quality"], drift=None, arrival=None)[0]
    assert set(group.chosen[~workload.train[stream.rows]].tolist()) == {DEAR}
