"""The settings of learning."""

from typing import Any

import pytest
from pydantic import ValidationError

from agentmesh.judging.sources import source_kind
from agentmesh.learning.settings import Learning


def test_unsaid_everything_is_judged_and_a_judge_counts_half() -> None:
    learning = Learning()
    assert (learning.mode, learning.judge_share, learning.undecided) == ("auto", 1.0, None)
    assert [learning.weight_of(source) for source in ("verifier:exact", "user", "judge:small", "judge")] == [
        1,
        1,
        0.5,
        0.5,
    ]


def test_weights_go_by_the_kind_of_a_source() -> None:
    learning = Learning(weights={"crowd": 0.1})
    assert learning.weight_of("crowd:mturk:7") == 0.1
    assert learning.weight_of("crowds") == learning.weight_of("judge:small") == 1.0


def test_the_kind_of_a_source_ends_at_its_first_colon() -> None:
    assert [source_kind(source) for source in ("judge:a:b", "user", ":x", "")] == ["judge", "user", "", ""]


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "thread"},
        {"judge_share": -0.1},
        {"judge_share": 1.1},
        {"judge_share": float("nan")},
        {"judge_timeout_s": 0},
        {"judge_timeout_s": float("inf")},
        {"undecided": (0.7, 0.3)},
        {"undecided": (0.3, 1.3)},
        {"undecided": (0.3,)},
        {"weights": {"judge": 0}},
        {"weights": {"judge": 1.5}},
        {"weights": {"judge": float("nan")}},
        {"publish_s": 0},
        {"poll_s": -1},
        {"retrain_every": 0},
        {"retrain_s": 0},
        {"judge_rate": 1},
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_and_named(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Learning(**fields)
    assert next(iter(fields)) in str(caught.value)


@pytest.mark.parametrize("undecided", [(0.3, 0.7), (0.5, 0.5), (0.0, 1.0)])
def test_the_undecided_middle_may_be_as_wide_as_all_scores(undecided: tuple[float, float]) -> None:
    assert Learning(undecided=undecided).undecided == undecided
