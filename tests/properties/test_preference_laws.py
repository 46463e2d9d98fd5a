"""Laws of preferences: what is forbidden stays out, a pin is never passed over, the order of rules means nothing."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.preferences import Preference
from agentmesh.records import AgentCard, Task
from agentmesh.routing.preference import FORBID, PIN, abstention, apply, named_agents
from agentmesh.routing.preference_lint import lint
from agentmesh.testing.samples import sample_pool

IDS = ("agent-00", "agent-01", "agent-02", "agent-03")
CARDS = tuple(
    AgentCard(id=one, description="", group="north" if place % 2 else "south") for place, one in enumerate(IDS)
)
POOL = replace(sample_pool(4), cards=CARDS)
RULES = st.builds(
    Preference,
    action=st.sampled_from(["pin", "prefer", "forbid"]),
    agents=st.lists(st.sampled_from([*IDS, "ghost"]), min_size=1, max_size=3).map(tuple),
    groups=st.sampled_from([(), (), ("north",), ("west",)]),
    domain=st.sampled_from([None, None, "law", "sums"]),
    strength=st.sampled_from([0.1, 0.2]),
)
TASK = Task(text="q", type_hints=("law",))
GATES = st.dictionaries(st.sampled_from(IDS), st.just("budget"), max_size=4)


def named(action: str, rules: list[Preference]) -> set[str]:
    """Return whom the rules of one kind name that hold for the task."""
    holding = [rule for rule in rules if rule.action == action and rule.domain in (None, "law")]
    return {agent_id for rule in holding for agent_id in named_agents(rule, CARDS, set(IDS))}


@given(st.lists(RULES, max_size=5), GATES)
def test_who_is_left_is_pinned_if_anybody_is_and_never_forbidden_or_gated(
    rules: list[Preference], gates: dict[str, str]
) -> None:
    pool = apply(rules, TASK, POOL.gated(gates)).pool
    left = {agent_id for agent_id, place in pool.index.items() if pool.mask[place]}
    expected = set(IDS) - set(gates) - named("forbid", rules)
    if any(rule.action == "pin" and rule.domain in (None, "law") for rule in rules):
        expected &= named("pin", rules)
    assert left == expected


@given(st.lists(RULES, max_size=5), GATES)
def test_nobody_is_left_by_the_rules_if_and_only_if_the_decision_is_for_nobody(
    rules: list[Preference], gates: dict[str, str]
) -> None:
    applied = apply(rules, TASK, POOL.gated(gates))
    by_rules = {PIN, FORBID} & set(applied.pool.refused.values())
    assert (abstention(applied, seed=0) is not None) == (not applied.pool.mask.any() and bool(by_rules))


@given(st.lists(RULES, max_size=5).flatmap(lambda rules: st.tuples(st.just(rules), st.permutations(rules))))
def test_the_order_of_rules_has_no_effect(both: tuple[list[Preference], list[Preference]]) -> None:
    one, other = (apply(rules, TASK, POOL) for rules in both)
    np.testing.assert_array_equal(one.pool.mask, other.pool.mask)
    np.testing.assert_allclose(one.bonus, other.bonus)
    assert sorted(one.reasons) == sorted(other.reasons)


@given(st.lists(RULES, min_size=1, max_size=4), st.lists(RULES, max_size=2))
def test_a_rule_of_the_task_does_what_one_of_the_mesh_does(rules: list[Preference], own: list[Preference]) -> None:
    together = apply([*rules, *own], TASK, POOL)
    apart = apply(rules, TASK.model_copy(update={"preferences": tuple(own)}), POOL)
    assert dict(apart.pool.refused) == dict(together.pool.refused)
    np.testing.assert_allclose(apart.bonus, together.bonus)


@given(st.lists(RULES, max_size=4))
def test_one_rule_of_each_that_leaves_nobody_is_an_error_of_the_lint(rules: list[Preference]) -> None:
    for place, rule in enumerate(rules):
        for other in rules[place + 1 :]:
            alone = apply([rule, other], TASK, POOL)
            if not alone.pool.mask.any() and {rule.action, other.action} == {"pin", "forbid"}:
                assert any(finding.severity == "error" for finding in lint([rule, other], CARDS))
