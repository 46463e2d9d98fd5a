"""What agents were measured to be worth: the interval, and the scores of a database summed up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.intervals import wilson
from agentmesh.learning.measured import Observation, measured_skills, skill_of
from agentmesh.records import AgentCard, Experience, RegistrySnapshot
from agentmesh.store.memory import MemoryStore
from agentmesh.testing.traces import lesson, score, whole

CARD = AgentCard(id="ada", description="Adds.", skills=("Math", "verse"))


@given(st.integers(1, 1000).flatmap(lambda n: st.tuples(st.floats(0, n), st.just(n))))
def test_the_interval_holds_the_mean_and_lies_within_0_and_1(counted: tuple[float, int]) -> None:
    successes, n = counted
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n + 1e-9
    assert successes / n - 1e-9 <= high <= 1


@given(st.integers(0, 100), st.integers(0, 100))
def test_successes_and_failures_are_mirror_images(right: int, wrong: int) -> None:
    low, high = wilson(right, right + wrong)
    assert wilson(wrong, right + wrong) == pytest.approx((1 - high, 1 - low))


def test_more_evidence_narrows_the_interval() -> None:
    widths = [high - low for low, high in (wilson(0.8 * n, n) for n in (5, 50, 500))]
    assert widths == sorted(widths, reverse=True)


def test_the_interval_agrees_with_a_published_value() -> None:
    """Newcombe 1998, table I: 81 of 263, method 3."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_of_nothing_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    skill = skill_of(CARD, [])
    assert (skill.overall.n, skill.overall.quality, skill.overall.failures) == (0, None, None)
    assert (skill.overall.low, skill.overall.high) == (0.0, 1.0)


def test_a_claim_is_proven_by_tasks_of_that_kind_whatever_its_case() -> None:
    skill = skill_of(CARD, [Observation(kinds=("math",), quality=1.0), Observation(kinds=("verse",), quality=None)])
    assert skill.claims == ("Math", "verse")
    assert skill.unproven == ("verse",)
    assert [(kind.kind, kind.n) for kind in skill.kinds] == [("math", 1), ("verse", 0)]


def test_a_mean_is_over_what_is_known_and_failures_are_counted_where_they_are() -> None:
    seen = [Observation((), 1.0, cost_usd=0.2, latency_s=1.0), Observation((), 0.0, latency_s=3.0, failed=True)]
    overall = skill_of(CARD, seen, counts_failures=True).overall
    assert (overall.quality, overall.cost_usd, overall.latency_s, overall.failures) == (0.5, 0.2, 2.0, 1)


def store_with(*lessons: Experience, cards: tuple[AgentCard, ...] = (CARD,)) -> MemoryStore:
    store = MemoryStore()
    store.put_registry(RegistrySnapshot(version="r", cards=cards))
    for run_id in dict.fromkeys(one.run_id for one in lessons):
        store.append(whole(run_id))
    for one in lessons:
        store.add_feedback(score(one.run_id, one.quality, agent_id=one.agent_id, source=one.source), [one])
    return store


def test_several_scores_of_one_answer_are_one_task_of_their_mean_by_weight() -> None:
    judged = lesson("r1", 0.0, source="judge:x").model_copy(update={"weight": 0.5})
    (skill,) = measured_skills(store_with(judged, lesson("r1", 1.0), lesson("r2", 1.0)))
    assert (skill.overall.n, skill.overall.evidence) == (2, 2.0)
    assert skill.overall.quality == pytest.approx((2 / 3 + 1) / 2)


def test_what_a_judge_scored_is_less_evidence_and_a_wider_interval() -> None:
    judged = [lesson(f"r{i}", 1.0, source="judge:x").model_copy(update={"weight": 0.5}) for i in range(4)]
    (skill,) = measured_skills(store_with(*judged))
    assert (skill.overall.n, skill.overall.evidence) == (4, 2.0)
    assert skill.overall.low == pytest.approx(wilson(2, 2)[0])


def test_kinds_are_the_type_hints_of_the_tasks() -> None:
    hinted = lesson("r1", 1.0).model_copy(update={"type_hints": ("math", "math"), "cost_usd": "0.5", "latency_s": 2.0})
    (skill,) = measured_skills(store_with(hinted, lesson("r2", 0.0)))
    assert [(kind.kind, kind.n, kind.quality, kind.cost_usd, kind.latency_s) for kind in skill.kinds] == [
        ("math", 1, 1.0, 0.5, 2.0)
    ]
    assert skill.overall.n == 2


def test_outcomes_of_an_older_version_do_not_count() -> None:
    newer = lesson("r2", 1.0).model_copy(update={"agent_version": 2})
    (skill,) = measured_skills(store_with(lesson("r1", 0.0), newer))
    assert (skill.overall.n, skill.overall.quality) == (1, 1.0)


def test_an_agent_without_a_score_and_one_without_a_card_are_both_listed() -> None:
    skills = measured_skills(store_with(lesson("r1", 1.0, agent_id="bob")))
    assert [(skill.agent_id, skill.overall.n, skill.claims) for skill in skills] == [
        ("ada", 0, ("Math", "verse")),
        ("bob", 1, ()),
    ]
