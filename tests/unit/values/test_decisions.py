"""Decisions: their arrays are read back, and they say in words who was chosen and what would have changed that."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.decisions import COLUMNS, Candidate, Evidence, Reasoning, RouteDecision, Selection, Stage
from agentmesh.packing import pack_floats

BEST = Candidate(
    agent_id="best",
    score=0.9,
    probability=0.7,
    inclusion=0.7,
    expected_quality=0.8,
    expected_cost_usd=0.00123,
    flip=0.0,
    factors={"evidence": 2.5},
)
NEXT = Candidate(agent_id="next", score=0.65, probability=0.2, inclusion=0.2, expected_quality=0.64, flip=0.07)
UNRATED = Candidate(agent_id="unrated", score=None, probability=0.1, inclusion=0.1)
BARRED = Candidate(agent_id="barred", score=None, probability=0.0, inclusion=0.0, gate="skill:x")


def _decision(*selected: str, candidates: tuple[Candidate, ...] = (BEST, NEXT, UNRATED, BARRED), **fields: Any) -> Any:
    return RouteDecision(
        router="kernel",
        router_version="abc@3",
        registry_version="r",
        seed=1,
        selected=tuple(Selection(agent_id=agent_id, weight=1.0) for agent_id in selected),
        candidates=candidates,
        scores=pack_floats(np.array([0.9, 0.65, np.nan, np.nan])),
        probabilities=pack_floats(np.array([0.7, 0.2, 0.1, 0.0])),
        abstained=not selected,
        **{"margin": 0.25, **fields},
    )


def _rated(name: str, quality: float, flip: float | None) -> Candidate:
    return Candidate(agent_id=name, score=quality, probability=0.1, inclusion=0.1, expected_quality=quality, flip=flip)


def test_a_decision_says_who_was_chosen_and_over_whom() -> None:
    assert _decision("best").explain().splitlines() == [
        "Chosen by router kernel (abc@3): best, 0.250 ahead of the next best.",
        "* best: score 0.900, p 0.700, expected quality 0.800,",
        "    expected cost 0.00123 USD, evidence 2.5",
        "  next: score 0.650, p 0.200, expected quality 0.640",
        "    would be chosen if its expected quality were 0.710 instead of 0.640",
        "  unrated: score unknown, p 0.100",
        "  barred: refused by the gate 'skill:x'",
    ]


def test_a_draw_at_random_is_owned_up_to() -> None:
    text = " ".join(_decision("next", explored=True, margin=-0.25).explain().split())
    assert "0.250 behind the next best; drawn to explore." in text


def test_an_abstention_gives_its_reason_and_speaks_of_nobody_being_chosen() -> None:
    text = _decision(margin=None, reason="nobody reached 0.5").explain()
    assert text.splitlines()[:2] == ["Nobody was chosen by router kernel (abc@3).", "  nobody reached 0.5"]
    assert "would" not in text


def test_a_short_explanation_lists_those_chosen_whatever_their_place() -> None:
    lines = _decision("unrated").explain(most=2).splitlines()
    assert [line[2:].partition(":")[0] for line in lines[1:] if line[2] != " "] == ["best", "unrated"]


def test_the_kinds_of_task_are_named_and_those_that_round_to_nothing_are_not() -> None:
    text = _decision("best", intent={"math": 0.72, "physics": 0.2, "law": 0.004}).explain()
    assert text.splitlines()[1] == "  Taken for: math 72 %, physics 20 %"


def test_without_kinds_of_task_there_is_no_line_about_them() -> None:
    assert "Taken for" not in _decision("best", intent={"law": 0.004}).explain()


def test_an_agent_that_nothing_could_make_the_best_is_told_so() -> None:
    lines = _decision("best", candidates=(BEST, _rated("dear", 0.5, None))).explain().splitlines()
    assert lines[-1] == "    nothing it could answer would flip this"


def test_a_decision_recorded_before_flips_were_claims_nothing_about_them() -> None:
    old = (BEST.model_copy(update={"flip": None}), _rated("dear", 0.5, None))
    assert "flip" not in _decision("best", candidates=old).explain()


def test_beside_several_chosen_or_one_drawn_to_explore_a_better_agent_would_come_first() -> None:
    rest = (BEST, NEXT, _rated("third", 0.5, 0.21))
    assert "would come first if" in _decision("best", "next", candidates=rest).explain()
    assert "would come first if" in _decision("next", candidates=rest, explored=True).explain()


def test_only_the_best_three_of_those_not_chosen_say_what_would_flip_the_choice() -> None:
    rivals = tuple(_rated(f"r{place}", 0.6, 0.2) for place in range(5))
    assert _decision("best", candidates=(BEST, *rivals)).explain().count("would be chosen") == 3


def test_the_quality_that_is_named_would_really_do() -> None:
    close = _decision("best", candidates=(BEST, _rated("close", 0.7999, 0.0002))).explain()
    assert "were 0.801 instead of 0.800" in close
    perfect = _decision("best", candidates=(BEST, _rated("perfect", 0.9, 0.1))).explain()
    assert "were 1.000 instead of 0.900" in perfect


@given(st.dictionaries(st.text("abcdefgh_", min_size=1, max_size=20), st.floats(0, 1), max_size=20))
def test_an_explanation_fits_a_terminal_and_loses_no_factor(factors: dict[str, float]) -> None:
    text = _decision("best", candidates=(BEST.model_copy(update={"factors": factors}),)).explain()
    assert all(len(line) <= COLUMNS for line in text.splitlines())
    joined = " ".join(text.split())
    assert all(f"{name} {value:.3g}" in joined for name, value in factors.items())


def test_what_a_choice_rests_on_is_said_on_lines_that_fit_a_terminal() -> None:
    told = (
        Evidence(kind="task", name="r1", weight=0.5, quality=1.0, text="w" * 80),
        Evidence(kind="task", name="r2", weight=-0.25, quality=0.0),
        Evidence(kind="skill", name="law", weight=0.1, quality=0.75),
        Evidence(kind="entity", name="e" * 200, weight=0.05),
    )
    lines = _decision("best", evidence=told).explain().splitlines()
    assert max(map(len, lines)) <= COLUMNS
    words = "\n".join(lines)
    assert f'Because of: solved "{"w" * 39}…" (+0.50)' in words
    assert 'failed "r2" (-0.25), skill law 0.75 (+0.10)' in words


def test_the_arrays_of_a_decision_are_read_back() -> None:
    decision = RouteDecision.model_validate_json(_decision("best").model_dump_json())
    np.testing.assert_array_equal(decision.score_array(), [0.9, 0.65, np.nan, np.nan])
    assert decision.probability_array().tolist() == [0.7, 0.2, 0.1, 0.0]


def test_long_reasons_and_repairs_are_told_in_lines_that_fit() -> None:
    fields = {
        "reason": "the model 'm' chose 'best': " + "it knows sums and what comes of them, " * 9 + "x" * 200,
        "reasoning": Reasoning(model="m", asked=("best", "next"), repairs=("unknown ids were left out " * 4, "cut")),
        "stages": (
            Stage(name="kernel", chosen=("best", "next"), confidence=0.1, threshold=0.2, beyond="reasoning"),
            Stage(name="reasoning", chosen=tuple(f"agent-{place}" for place in range(12)), decided=True),
        ),
    }
    lines = _decision("best", **fields).explain().splitlines()
    assert max(map(len, lines)) <= COLUMNS
    told = " ".join(" ".join(lines).split())
    assert "kernel would choose best, next, sure by 0.100 where 0.200 is asked for: on to reasoning" in told
    assert "The model's reply was mended: unknown ids" in told


def _stages_told(*stages: Stage) -> str:
    return " ".join(_decision("best", stages=(*stages, Stage(name="last", decided=True))).explain().split())


def test_a_guard_says_how_familiar_a_task_is_and_whom_it_lets_it_through_to() -> None:
    guard = Stage(name="guard", confidence=0.02, threshold=0.08)
    assert "guard let the task through: familiarity 0.020 where 0.080 is asked for" in _stages_told(guard)
    away = guard.model_copy(update={"decided": True, "note": "unlike the tasks it knows"})
    assert "guard turned the task away: familiarity 0.020" in _stages_told(away)
    assert "asked for (unlike the tasks it knows)" in _stages_told(away)
    newcomer = guard.model_copy(update={"chosen": ("best",)})
    assert "guard let the task through to best alone: familiarity 0.020" in _stages_told(newcomer)


def test_a_model_of_no_use_says_why_in_a_few_words() -> None:
    told = _stages_told(Stage(name="reasoning", note="HTTP 500 " + "x" * 300))
    assert "reasoning was of no use: HTTP 500 xxx" in told
    assert "x" * 100 not in told
    assert "reasoning was of no use: it named nobody" in _stages_told(Stage(name="reasoning"))
