"""What an online evaluation is asked for, read from text, and what is refused."""

import pytest

from agentmesh.bench.online_plan import DriftSpec, NewAgentSpec, OnlinePlan, RouterSpec, router_specs, seeds_of
from agentmesh.errors import ConfigError


def test_arguments_of_a_router_are_json_or_plain_text() -> None:
    spec = RouterSpec.parse('pheromone:specialists=false:rate=0.1:types=["a:b", "c"]:mode=soft')
    assert (spec.name, spec.label[:9]) == ("pheromone", "pheromone")
    assert spec.arguments == {"specialists": False, "rate": 0.1, "types": ["a:b", "c"], "mode": "soft"}


def test_a_comma_within_an_argument_parts_no_routers() -> None:
    specs = router_specs('knn:policy="a,b",random, x:y=[1,2]')
    assert [spec.label for spec in specs] == ['knn:policy="a,b"', "random", "x:y=[1,2]"]


@pytest.mark.parametrize("text", ["", " , ", "knn,knn", "knn:k", "knn:=3", "knn:k="])
def test_routers_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="accepted: "):
        router_specs(text)


def test_the_same_router_with_other_arguments_is_another_row() -> None:
    assert len(router_specs("knn,knn:k=3")) == 2


def test_a_count_of_seeds_starts_at_0_and_a_range_holds_both_ends() -> None:
    assert (seeds_of("5"), seeds_of("100-104")) == ((0, 1, 2, 3, 4), (100, 101, 102, 103, 104))
    assert seeds_of("7-7") == (7,)


@pytest.mark.parametrize("text", ["", "0", "x", "5-3", "1,2", "-1", "1001", "0-1000", "1.5"])
def test_seeds_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="accepted: a count such as '5', or a range such as '100-104'") as caught:
        seeds_of(text)
    assert repr(text) in str(caught.value)


def test_an_agent_may_have_any_letter_in_its_id() -> None:
    assert DriftSpec.parse("a@b:c@10:0.5") == DriftSpec("a@b:c", 10, 0.5)
    assert NewAgentSpec.parse("a@b:c@10") == NewAgentSpec("a@b:c", 10)


@pytest.mark.parametrize(
    "text", ["best", "best@1", "best@x:0.2", "@1:0.2", "best@-1:0.2", "best@1:1.5", "best@1:0.1.2"]
)
def test_a_drift_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="accepted: ") as caught:
        DriftSpec.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["best", "best@", "@3", "best@x", "best@1:0.2"])
def test_a_new_agent_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="accepted: AGENT@STEP"):
        NewAgentSpec.parse(text)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"split": "test"}, "split is 'test'; accepted: 'train', 'all'"),
        ({"feedback": "none"}, "feedback is 'none'; accepted: 'bandit', 'full'"),
        ({"types": "hidden"}, "types is 'hidden'; accepted: 'discovered', 'given'"),
        ({"scenario": "dear"}, "scenario is 'dear'; accepted: 'quality', 'balanced', 'cheap'"),
        ({"steps": 0}, "steps are 0; accepted: 1 or more"),
        ({"seeds": ()}, "seeds are (); accepted"),
        ({"seeds": (1, 1)}, "seeds are (1, 1); accepted"),
        ({"seeds": (-1,)}, "seeds are (-1,); accepted"),
        ({"explore": 1.5}, "explore is 1.5; accepted: 0 to 1"),
    ],
)
def test_a_plan_out_of_range_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OnlinePlan(**wrong)  # type: ignore[arg-type]
    assert said in str(caught.value)
