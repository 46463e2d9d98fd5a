"""Records: money is exact, arrays survive bit for bit, what is unknown is refused."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentmesh.packing import pack_floats, unpack_floats
from agentmesh.preferences import Preference
from agentmesh.records import AgentCard, Limits, RouterState, Task


@pytest.mark.parametrize("price", [0.1, "0.1", Decimal("0.1")])
def test_money_is_taken_in_three_forms_and_held_exactly(price: float | str | Decimal) -> None:
    assert Limits(cost_usd=price).cost_usd == Decimal("0.1")


@pytest.mark.parametrize("price", [-1, "-0.01", float("nan"), float("inf"), "much"])
def test_money_that_is_none_is_refused(price: float | str) -> None:
    with pytest.raises(ValidationError):
        Limits(cost_usd=price)


def test_a_price_that_is_left_out_is_unknown() -> None:
    assert AgentCard(id="a", description="d").price_per_call_usd is None


@given(st.lists(st.floats(width=64)))
def test_packed_floats_come_back_bit_for_bit(values: list[float]) -> None:
    packed = pack_floats(np.array(values, dtype=np.float64))
    assert pack_floats(unpack_floats(packed)) == packed
    np.testing.assert_array_equal(unpack_floats(packed), values)


def test_a_state_names_the_version_that_decisions_name() -> None:
    assert RouterState(router="kernel", parameters="abc", sequence=3, at=0.0, payload=b"").version == "abc@3"


def test_records_refuse_unknown_fields_and_changes() -> None:
    with pytest.raises(ValidationError):
        AgentCard.model_validate({"id": "a", "description": "d", "colour": "red"})
    with pytest.raises(ValidationError):
        AgentCard(id="a", description="d").id = "b"  # type: ignore[misc]


def test_a_task_that_was_stored_before_tasks_had_preferences_loads() -> None:
    assert Task.model_validate_json('{"text": "q", "turns": []}').preferences == ()


def test_the_rules_of_a_task_come_back_from_json() -> None:
    rule = Preference(action="pin", groups=("law",), like=("Sue them.",), previous="ada", pattern="court|judge")
    task = Task(text="q", preferences=(rule,))
    assert Task.model_validate_json(task.model_dump_json()) == task
