"""The lint of preferences: names of nobody, contradictions, rules in vain, and pairs that never meet."""

import pytest

from agentmesh.preferences import Preference
from agentmesh.records import AgentCard, Task
from agentmesh.routing.preference_lint import lint

CARDS = (
    AgentCard(id="ada", description="", group="north", skills=("algebra",)),
    AgentCard(id="bob", description="", group="north"),
    AgentCard(id="cy", description="", policy_flags=frozenset({"eu"})),
)


def rule(action, *agents, **values):
    return Preference(action=action, agents=agents, **values)


def found(*rules, examples=()):
    """Return what is found, each as severity, places and the words before the rules."""
    findings = lint(rules, CARDS, examples=[Task(text=text) for text in examples])
    return [(one.severity, one.rules, one.message.partition(": ")[0]) for one in findings]


def test_rules_that_fit_together_have_no_fault():
    assert (
        found(
            rule("pin", "ada", "bob", pattern="sum"),
            rule("prefer", "ada", domain="maths"),
            rule("forbid", "cy", flag="us"),
            rule("prefer", "bob", strength=0.3),
        )
        == []
    )


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ({"agents": ("ghost",)}, "'ghost' is not registered"),
        ({"groups": ("west",)}, "no agent is in the group 'west'"),
        ({"having_skill": "law"}, "no agent has the skill 'law'"),
        ({"having_flag": "us"}, "no agent has the flag 'us'"),
    ],
)
def test_a_name_of_nobody_is_an_error_for_a_pin_and_a_warning_otherwise(names, what):
    assert found(Preference(action="pin", **names)) == [("error", (0,), what)]
    assert found(Preference(action="forbid", **names)) == [("warning", (0,), what)]


def test_a_pin_that_still_names_somebody_is_only_warned_of():
    assert found(rule("pin", "ghost", "ada")) == [("warning", (0,), "'ghost' is not registered")]


@pytest.mark.parametrize(
    ("action", "finding"),
    [
        ("forbid", ("error", (0,), "everybody is forbidden")),
        ("pin", ("warning", (0,), "everybody is pinned, which changes nothing")),
        ("prefer", ("warning", (0,), "everybody is preferred, which changes nothing")),
    ],
)
def test_a_rule_on_everybody_is_found(action, finding):
    assert found(Preference(action=action, groups=("north",), having_flag="eu")) == [finding]


def test_rules_that_forbid_everybody_together_are_an_error():
    north = Preference(action="forbid", groups=("north",))
    assert found(north, rule("forbid", "cy")) == [("error", (0, 1), "together they forbid everybody")]
    assert found(north, rule("forbid", "cy", domain="law")) == []


def test_no_rule_is_measured_against_a_team_of_nobody():
    assert lint([rule("forbid", "ada")], ())[0].message == "'ada' is not registered: forbid 'ada'"


def test_a_pin_on_agents_that_are_all_forbidden_is_an_error_in_either_order():
    what = "all that is pinned is forbidden, so nobody is left"
    assert found(rule("pin", "ada"), rule("forbid", "ada", "bob")) == [("error", (0, 1), what)]
    assert found(Preference(action="forbid", groups=("north",)), rule("pin", "ada")) == [("error", (1, 0), what)]


def test_a_pin_on_agents_of_which_some_are_forbidden_is_a_warning():
    rules = rule("pin", "ada", "bob"), rule("forbid", "bob", domain="law")
    assert found(*rules) == [("warning", (0, 1), "'bob' is pinned and forbidden; forbidden wins")]


def test_two_pins_on_different_agents_are_a_warning():
    what = "two pins on different agents; whoever is pinned by either may be chosen"
    assert found(rule("pin", "ada", pattern="sum"), rule("pin", "bob", domain="maths")) == [("warning", (0, 1), what)]


@pytest.mark.parametrize(
    "conditions",
    [
        ({"pattern": "sum"}, {"pattern": "law"}),
        ({"domain": "sums"}, {"domain": "law"}),
        ({"previous": "ada"}, {"previous": "bob"}),
        ({"like": ("add",)}, {"like": ("sue",)}),
        ({"skill": "x", "pattern": "sum"}, {"pattern": "law"}),
    ],
)
def test_conditions_of_one_kind_with_different_values_part_two_rules(conditions):
    assert found(rule("pin", "ada", **conditions[0]), rule("pin", "bob", **conditions[1])) == []


def test_an_example_task_shows_that_two_patterns_can_meet():
    rules = rule("pin", "ada", pattern="sum"), rule("forbid", "ada", pattern="secret")
    assert found(*rules, examples=["a sum", "a secret"]) == []
    what = "all that is pinned is forbidden, so nobody is left"
    assert found(*rules, examples=["a sum", "a secret sum"]) == [("error", (0, 1), what)]


def test_who_is_preferred_but_forbidden_or_pinned_away_is_found():
    assert found(rule("prefer", "ada", "bob", domain="law"), rule("forbid", "ada")) == [
        ("warning", (0, 1), "'ada' is preferred but forbidden")
    ]
    assert found(rule("pin", "cy"), rule("prefer", "ada", "bob")) == [
        ("warning", (1, 0), "'ada', 'bob' are preferred but pinned away")
    ]


def test_an_exception_to_what_is_preferred_is_no_fault():
    assert found(rule("prefer", "ada"), rule("forbid", "ada", pattern="secret")) == []


def test_a_pin_on_nobody_pins_nobody_away():
    assert [one[0] for one in found(rule("pin", "ghost"), rule("prefer", "ada"))] == ["error"]
    assert [one[0] for one in found(rule("pin", "ghost"), rule("pin", "ada"))] == ["error"]


@pytest.mark.parametrize("action", ["pin", "prefer", "forbid"])
def test_a_rule_that_stands_twice_is_found(action):
    twice = rule(action, "ada", domain="law", like=("sue",))
    assert found(twice, twice) == [("warning", (0, 1), "the same rule stands twice")]


def test_a_rule_that_changes_nothing_beside_another_is_found():
    what = "the first changes nothing beside the second"
    assert found(rule("forbid", "ada", "bob"), rule("forbid", "ada", pattern="x")) == [("warning", (1, 0), what)]
    near, far = rule("pin", "ada", like=("x",), at_least=0.9), rule("pin", "ada", "bob", like=("x",), at_least=0.5)
    assert found(near, far) == [("warning", (0, 1), what)]


def test_a_narrower_rule_that_names_more_is_no_fault():
    assert found(rule("forbid", "ada"), rule("forbid", "ada", "bob", pattern="x")) == []
    assert found(rule("prefer", "ada"), rule("prefer", "ada", pattern="x")) == []
    assert (
        found(rule("pin", "ada", like=("x",), at_least=0.5), rule("pin", "ada", "bob", like=("x",), at_least=0.9)) == []
    )


def test_errors_come_first_and_name_the_rules():
    findings = lint([rule("prefer", "ghost"), rule("pin", "ada"), rule("forbid", "ada")], CARDS)
    assert [(one.severity, one.rules) for one in findings] == [("error", (1, 2)), ("warning", (0,))]
    assert findings[0].message.endswith(": pin 'ada' | forbid 'ada'")


def test_many_agents_are_told_in_short():
    cards = [AgentCard(id=f"a{place}", description="") for place in range(6)]
    rules = [rule("prefer", *(card.id for card in cards[:5])), rule("pin", "a5")]
    assert lint(rules, cards)[0].message.startswith("'a0', 'a1', 'a2' and 2 more are preferred but pinned away: ")
