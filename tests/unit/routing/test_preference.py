"""Preferences: when a rule holds, what it does to the pool, and which patterns are refused."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from agentmesh.errors import ConfigError
from agentmesh.patterns import LONGEST_PATTERN, SEARCHED, compiled, found
from agentmesh.preferences import Preference
from agentmesh.records import AgentCard, Task, Turn
from agentmesh.routing.preference import abstention, apply, holds
from agentmesh.testing.samples import sample_pool

POOL = sample_pool(4)
CARDS = (
    AgentCard(id="agent-00", description="", group="north", skills=("Algebra",)),
    AgentCard(id="agent-01", description="", group="north", policy_flags=frozenset({"EU"})),
    AgentCard(id="agent-02", description="", group="south", skills=("poetry",)),
    AgentCard(id="agent-03", description=""),
)
CARDED = replace(POOL, cards=CARDS)
TASK = Task(
    text="Compute the INTEGRAL of x.",
    type_hints=("maths",),
    required_skills=frozenset({"algebra"}),
    required_flags=frozenset({"eu"}),
    turns=(Turn(role="assistant", text="4", agent_id="ada"), Turn(role="user", text="ok")),
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
        ({"domain": "Maths", "skill": "ALGEBRA", "flag": "EU"}, True),
        ({"previous": "ada"}, True),
        ({"previous": "bob"}, False),
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
    ("names", "refused"),
    [
        ({"groups": ("north",)}, ["agent-00", "agent-01"]),
        ({"having_skill": "algebra"}, ["agent-00"]),
        ({"having_flag": "eu"}, ["agent-01"]),
        (
            {"agents": ("agent-03",), "groups": ("south",), "having_skill": "algebra"},
            ["agent-00", "agent-02", "agent-03"],
        ),
    ],
)
def test_a_rule_names_agents_by_id_group_skill_or_flag(names, refused):
    applied = apply([Preference(action="forbid", **names)], TASK, CARDED)
    assert sorted(applied.pool.refused) == refused
    assert applied.faults == ()


def test_a_task_is_like_a_rule_when_one_of_its_texts_is_near_enough():
    alike = rule(like=("add it up", "sum it"), at_least=0.6)
    assert holds(alike, TASK, {"add it up": 0.2, "sum it": 0.6})
    assert not holds(alike, TASK, {"add it up": 0.59, "sum it": -1.0})
    assert not holds(alike, TASK)


def test_rules_of_the_task_stand_beside_those_of_the_mesh_and_are_told_apart():
    task = TASK.model_copy(update={"preferences": (rule("forbid", ("agent-00",)), rule("pin", pattern="poem"))})
    applied = apply([rule("forbid", ("agent-01",))], task, POOL)
    assert applied.pool.mask.tolist() == [False, False, True, True]
    assert applied.reasons == ("forbid 'agent-01'", "forbid 'agent-00' (the task's own)")


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ({"agents": ("ghost", "agent-01")}, "'ghost' is not registered"),
        ({"groups": ("west",)}, "no agent is in the group 'west'"),
        ({"having_skill": "cooking"}, "no agent has the skill 'cooking'"),
        ({"having_flag": "us"}, "no agent has the flag 'us'"),
    ],
)
@pytest.mark.parametrize("action", ["pin", "prefer", "forbid"])
def test_a_name_of_nobody_is_a_fault_of_the_rule(action, names, fault):
    one = Preference(action=action, **names)
    assert apply([one], TASK, CARDED).faults == (f"{one.describe()}: {fault}",)


def test_a_rule_on_many_that_are_not_there_is_told_of_a_few():
    one = rule("forbid", tuple(f"ghost-{place}" for place in range(2000)))
    assert [fault.rpartition(": ")[2] for fault in apply([one], TASK, POOL).faults] == [
        f"'ghost-{place}' is not registered" for place in range(3)
    ]


def test_a_rule_that_does_not_hold_has_no_fault():
    assert apply([rule("pin", ("ghost",), skill="law")], TASK, POOL).faults == ()


def test_a_pin_on_an_agent_that_a_gate_refuses_is_a_fault_unless_another_pinned_agent_is_left():
    gated = POOL.gated({"agent-01": "budget"})
    assert apply([rule("pin")], TASK, gated).faults == ("pin 'agent-01': 'agent-01' is refused by the gate 'budget'",)
    assert apply([rule("pin", ("agent-01", "agent-02"))], TASK, gated).faults == ()


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (
            [rule("pin", ("ghost",))],
            "the preferences leave nobody: pin 'ghost': 'ghost' is not registered",
        ),
        (
            [rule("pin"), rule("forbid")],
            "the preferences leave nobody: pin 'agent-01': 'agent-01' is forbidden by a rule; forbid 'agent-01'",
        ),
        (
            [rule("forbid", POOL.ids)],
            "the preferences leave nobody: forbid 'agent-00', 'agent-01', 'agent-02', 'agent-03'",
        ),
    ],
)
def test_nobody_is_chosen_where_the_rules_leave_nobody_and_the_reason_names_them(rules, reason):
    applied = apply(rules, TASK, POOL)
    decision = abstention(applied, seed=7)
    assert (decision.abstained, decision.selected, decision.router, decision.seed) == (True, (), "preferences", 7)
    assert decision.reason == reason
    assert decision.probability_array().tolist() == [0, 0, 0, 0]
    assert {candidate.agent_id: candidate.gate for candidate in decision.candidates} == applied.pool.refused


def test_a_decision_for_nobody_among_many_lists_no_candidates():
    assert abstention(apply([rule("pin", ("ghost",))], TASK, sample_pool(9)), seed=0).candidates == ()


def test_where_the_hard_gates_alone_refuse_everybody_it_is_up_to_the_router():
    gated = POOL.gated(dict.fromkeys(POOL.ids, "budget"))
    assert abstention(apply([rule("pin"), rule("forbid", ("agent-02",))], TASK, gated), seed=0) is None


def test_where_somebody_is_left_it_is_up_to_the_router():
    assert abstention(apply([rule("pin"), rule("forbid", ("agent-02",))], TASK, POOL), seed=0) is None


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (rule("forbid", groups=("north",)), "forbid 'agent-01' or the group 'north'"),
        (rule(agents=(), having_skill="law", previous="ada"), "prefer who has the skill 'law' where previous='ada'"),
        (
            rule("pin", agents=(), having_flag="eu", like=("a" * 50, "b")),
            f"pin who has the flag 'eu' where the task is like '{'a' * 39}…' or 1 more (cosine 0.55 at least)",
        ),
        (
            rule("pin", domain="law", like=("sue them",), at_least=0.7),
            "pin 'agent-01' where domain='law' and the task is like 'sue them' (cosine 0.7 at least)",
        ),
    ],
)
def test_a_rule_says_whom_it_names_and_when_it_holds(one, words):
    assert one.describe() == words


@pytest.mark.parametrize(
    "values",
    [
        {"agents": ()},
        {"action": "love"},
        {"strength": 0},
        {"strength": 11},
        {"color": "red"},
        {"like": ("",)},
        {"like": ("x",) * 51},
        {"at_least": 0},
        {"at_least": 1.1},
    ],
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
