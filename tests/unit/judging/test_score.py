"""What counts as a score."""

from decimal import Decimal

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.judging.score import checked_score


@pytest.mark.parametrize("value", [0, 1, 0.0, 0.25, 1.0, np.float32(0.25), np.float64(0.25), np.int64(1)])
def test_a_number_from_0_to_1_is_a_score(value: float) -> None:
    score = checked_score(value, "judge 'small'")
    assert type(score) is float
    assert score == value


def test_none_declines() -> None:
    assert checked_score(None, "judge 'small'") is None


@pytest.mark.parametrize(
    "value",
    [
        7,
        -0.1,
        float("nan"),
        float("inf"),
        "0.5",
        "I think it is right",
        [1],
        {"score": 1},
        Decimal("0.5"),
        1j,
        object(),
    ],
)
@pytest.mark.parametrize("takes_bool", [True, False])
def test_anything_else_is_refused(value: object, takes_bool: bool) -> None:
    with pytest.raises(ConfigError, match=r"the judge 'small' returned .*; accepted is a number from 0 to 1, or None"):
        checked_score(value, "judge 'small'", takes_bool=takes_bool)


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_a_truth_value_is_a_score_by_rule_and_none_from_a_judge(value: bool) -> None:
    assert checked_score(value, "verifier 'gold'", takes_bool=True) == float(value)
    with pytest.raises(ConfigError, match="accepted is a number"):
        checked_score(value, "judge 'small'")


def test_a_long_value_is_quoted_in_part() -> None:
    with pytest.raises(ConfigError) as caught:
        checked_score("x" * 1_000_000, "judge 'small'")
    assert len(str(caught.value)) < 300
