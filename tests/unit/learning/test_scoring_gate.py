"""Which scores teach, and which runs are judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.judging.sources import rank
from agentmesh.learning.gate import agents_taught, is_undecided
from agentmesh.learning.sampling import is_judged
from agentmesh.learning.settings import Learning
from agentmesh.records import Feedback, Run, RunStatus, Task

RUN = Run(
    id="r", task=Task(text="q"), status=RunStatus.COMPLETED, answer="1", answered_by=("ada", "bob"), started_at=0.0
)
TEAM = ("ada", "bob", "cy")

sources = st.sampled_from(["verifier:exact", "verifier:mine", "user", "user:eve", "crowd", "judge", "judge:small"])
scores = st.builds(
    Feedback,
    run_id=st.just("r"),
    score=st.floats(0, 1),
    agent_id=st.none() | st.sampled_from(TEAM),
    source=sources,
    at=st.just(0.0),
)


def scored(source: str, score: float = 1.0, agent: str | None = None) -> Feedback:
    return Feedback(run_id="r", score=score, agent_id=agent, source=source, at=0.0)


def taught(feedback: Feedback, *earlier: Feedback, learning: Learning | None = None) -> tuple[str, ...]:
    return agents_taught(feedback, ("ada", "bob"), run=RUN, earlier=earlier, learning=learning or Learning())


def test_verifiers_stand_above_users_and_users_above_judges() -> None:
    assert rank("verifier:exact") < rank("user") == rank("user:eve") == rank("crowd") < rank("judge:small")


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ("verifier:exact", "user", ()),
        ("verifier:exact", "judge:small", ()),
        ("user", "judge:small", ()),
        ("user", "verifier:exact", ("ada", "bob")),
        ("judge:small", "user", ("ada", "bob")),
        ("judge:small", "verifier:exact", ("ada", "bob")),
        ("judge:small", "judge:large", ("ada", "bob")),
        ("user", "user:eve", ("ada", "bob")),
        ("verifier:exact", "verifier:mine", ("ada", "bob")),
    ],
)
def test_a_score_teaches_unless_a_better_source_was_first(first: str, then: str, expected: tuple[str, ...]) -> None:
    assert taught(scored(then), scored(first)) == expected


def test_a_better_source_settles_only_the_agents_it_scored() -> None:
    assert taught(scored("user"), scored("verifier:exact", agent="ada")) == ("bob",)
    assert taught(scored("user"), scored("verifier:exact", agent="cy")) == ("ada", "bob")


@pytest.mark.parametrize(
    ("source", "score", "undecided"),
    [
        ("judge:small", 0.5, True),
        ("judge", 0.69, True),
        ("judge:small", 0.3, False),
        ("judge:small", 0.7, False),
        ("judge:small", 0.0, False),
        ("user", 0.5, False),
        ("verifier:exact", 0.5, False),
    ],
)
def test_a_judges_middling_score_is_undecided(source: str, score: float, undecided: bool) -> None:
    learning = Learning(undecided=(0.3, 0.7))
    assert is_undecided(scored(source, score), learning) is undecided
    assert taught(scored(source, score), learning=learning) == (() if undecided else ("ada", "bob"))
    assert not is_undecided(scored(source, score), Learning())


@given(scores, st.lists(scores, max_size=5), st.lists(st.sampled_from(TEAM), unique=True))
def test_the_gate_only_takes_away_and_more_scores_open_it_for_nobody(
    feedback: Feedback, earlier: list[Feedback], agents: list[str]
) -> None:
    after = agents_taught(feedback, agents, run=RUN, earlier=earlier, learning=Learning())
    before = agents_taught(feedback, agents, run=RUN, earlier=earlier[:-1], learning=Learning())
    assert set(after) <= set(before) <= set(agents)
    assert list(after) == [agent for agent in agents if agent in after]


@given(scores, st.lists(scores, max_size=5))
def test_a_verifier_always_teaches(feedback: Feedback, earlier: list[Feedback]) -> None:
    exact = feedback.model_copy(update={"source": "verifier:exact"})
    assert agents_taught(exact, TEAM, run=RUN, earlier=earlier, learning=Learning(undecided=(0, 1))) == TEAM


@given(st.integers(0, 2**63), st.text(max_size=9), st.text(max_size=9), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_judges_the_same_runs_and_more(
    seed: int, run_id: str, judge: str, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert is_judged(low, seed=seed, run_id=run_id, judge=judge) <= is_judged(
        high, seed=seed, run_id=run_id, judge=judge
    )
    assert is_judged(1.0, seed=seed, run_id=run_id, judge=judge)
    assert not is_judged(0.0, seed=seed, run_id=run_id, judge=judge)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
def test_the_share_of_judged_runs_is_the_share_asked_for(share: float) -> None:
    judged = sum(is_judged(share, seed=7, run_id=f"run-{place}", judge="small") for place in range(20_000))
    assert abs(judged / 20_000 - share) < 0.015


def test_two_judges_and_two_seeds_draw_apart() -> None:
    def drawn(seed: int, judge: str) -> list[bool]:
        return [is_judged(0.5, seed=seed, run_id=f"run-{place}", judge=judge) for place in range(200)]

    assert drawn(0, "small") == drawn(0, "small")
    agree = [sum(map(bool.__eq__, drawn(0, "small"), other)) for other in (drawn(0, "large"), drawn(1, "small"))]
    assert all(60 < same < 140 for same in agree)
