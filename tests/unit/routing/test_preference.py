"""Preferences: when a rule holds, what it does to the pool, and which patterns are refused."""

import pytest
from pydantic import ValidationError

from agentmesh.errors import ConfigError
from agentmesh.patterns import LONGEST_PATTERN, SEARCHED, compiled, found
from agentmesh.preferences import Preference
from agentmesh.records import Task
from agentmesh.routing.preference import apply, holds
from agentmesh.testing.routers import sample_pool

POOL = sample_pool(4)
TASK = Task(
    text="Compute the INTEGRAL of x.",
    type_hints=("maths",),
    required_skills=frozenset({"algebra"}),
    required_flags=frozenset({"eu"}),
)


def rule(action="prefer", agents=("agent-01",), **conditions):
    return Preference(action=action, agents=agents, **conditions)


def test_a_rule_without_conditions_always_holds():
    assert holds(rule(), Task(text=""))
    assert holds(rule(pattern=None), Task(text=""))


@pytest.mark.parametrize(
    ("conditions", "met"),
    [
        ({"pattern": r"integral|derivative"}, True),
        ({"pattern": r"\bsum\b"}, False),
        ({"skill": "algebra"}, True),
        ({"skill": "poetry"}, False),
        ({"flag": "eu"}, True),
        ({"flag": "us"}, False),
        ({"domain": "maths"}, True),
        ({"domain": "law"}, False),
        ({"pattern": "integral", "skill": "algebra", "flag": "eu", "domain": "maths"}, True),
        ({"pattern": "integral", "skill": "poetry"}, False),
    ],
)
def test_a_rule_holds_when_every_condition_is_met(conditions, met):
    assert holds(rule(**conditions), TASK) is met


def test_forbid_refuses_and_names_the_gate():
    applied = apply([rule("forbid", ("agent-01", "unheard-of"))], TASK, POOL)
    assert applied.pool.mask.tolist() == [True, False, True, True]
    assert dict(applied.pool.refused) == {"agent-01": "preference:forbid"}


def test_pin_leaves_only_the_pinned_agents_of_all_pins():
    applied = apply([rule("pin", ("agent-01",)), rule("pin", ("agent-03", "unheard-of"))], TASK, POOL)
    assert applied.pool.mask.tolist() == [False, True, False, True]
    assert set(applied.pool.refused.values()) == {"preference:pin"}


def test_what_is_forbidden_stays_so_when_pinned():
    applied = apply([rule("pin", ("agent-01", "agent-02")), rule("forbid", ("agent-01",))], TASK, POOL)
    assert applied.pool.mask.tolist() == [False, False, True, False]
    assert applied.pool.refused["agent-01"] == "preference:forbid"


def test_an_earlier_gate_keeps_its_name_and_its_word():
    gated = POOL.gated({"agent-01": "budget"})
    applied = apply([rule("pin", ("agent-01",))], TASK, gated)
    assert not applied.pool.mask.any()
    assert applied.pool.refused["agent-01"] == "budget"


def test_prefer_adds_its_strength_once_for_each_rule():
    rules = [rule(agents=("agent-01", "agent-01", "unheard-of"), strength=0.2), rule(agents=("agent-01", "agent-02"))]
    applied = apply(rules, TASK, POOL)
    assert applied.bonus == pytest.approx([0.0, 0.3, 0.1, 0.0])
    assert applied.pool is POOL


def test_rules_that_do_not_hold_change_nothing():
    applied = apply([rule("forbid", pattern="poem"), rule("pin", skill="law"), rule(flag="us")], TASK, POOL)
    assert (applied.pool, applied.reasons) == (POOL, ())
    assert not applied.bonus.any()


def test_the_reasons_are_the_rules_that_held():
    applied = apply([rule("forbid", pattern="integral", skill="algebra"), rule("pin", skill="law"), rule()], TASK, POOL)
    assert applied.reasons == (
        "forbid 'agent-01' where pattern='integral' and skill='algebra'",
        "prefer 'agent-01'",
    )


@pytest.mark.parametrize(
    "values", [{"agents": ()}, {"action": "love"}, {"strength": 0}, {"strength": 11}, {"color": "red"}]
)
def test_a_rule_that_makes_no_sense_is_refused(values):
    with pytest.raises(ValidationError):
        Preference(**{"action": "prefer", "agents": ("a",), **values})


@pytest.mark.parametrize("pattern", ["*", "(", "[", "x{99999999999}", "a" * (LONGEST_PATTERN + 1)])
def test_a_pattern_that_is_none_is_a_config_error(pattern):
    with pytest.raises(ConfigError, match="pattern"):
        rule(pattern=pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*b",
        "(?:a.*)*",
        "((a?))+",
        "(a{2,3}){2}",
        "(?:(?:(?:a|b)))+",
        "(?i:a+)+",
        "(?P<n>a+)+",
        "a?" * 60 + "a" * 60,
        "(a|a)" * 20,
        "a{0,9}b{0,9}c{0,9}",
        ".*a.*b.*c",
        "(?x: a + ) +",
        "(?#c)a",
    ],
)
def test_a_pattern_that_may_take_for_ever_is_refused(pattern):
    with pytest.raises(ConfigError, match="for ever"):
        compiled(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\bsql\b.*join", "an SQL query with JOIN"),
        (r"^(?:translate|say) this", "Say this in French"),
        (r"colou?r", "color"),
        (r"\(a+\)+", "(aa)"),
        (r"[*+?]+x", "*+x"),
        (r"[]a+]*z", "]z"),
        (r"[^]]z", "az"),
        (r"(?P<year>\d{4})-\d{2}", "2024-12"),
        (r"(?:ab){2}", "abab"),
        (r"a++b", "aab"),
        (r"(?<=x)y", "xy"),
        (r"(?i)k", "K"),
        ("π|Δ", "δ"),
    ],
)
def test_a_plain_pattern_is_taken(pattern, text):
    assert found(pattern, text)


def test_only_the_start_of_a_text_is_searched():
    assert found("x", "a" * (SEARCHED - 1) + "x")
    assert not found("x", "a" * SEARCHED + "x")


def test_the_worst_pattern_taken_ends_on_the_worst_text():
    assert not found("[ab]*a*x", "a" * 1_000_000)
