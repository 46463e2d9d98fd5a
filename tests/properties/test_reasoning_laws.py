"""Laws of replies and rewards: whatever a model writes, nobody but the agents asked about is named, and all is told."""

import json
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.errors import ConfigError
from agentmesh.routing.reasoning.legible import JOINERS
from agentmesh.routing.reasoning.measures import measured
from agentmesh.routing.reasoning.parsing import Parsed, parse
from agentmesh.routing.reasoning.reward import reward

ASKED = ("solver", "coder", "math-pro", "travel planner", 'the "best" <x>', "a, b", "A2", "übersetzer", "7", "out")
UNKNOWN = ("ghost", "SOLVER", " coder", "solver2", "AA3", "AA99", "", "out of scope", "none", "\ud800", "a", "&lt;")
HOSTILE = (
    *("{", "}", "[", "]", '"', "'", "\\", ",", ":", "<", ">", "&", "\x00", "\x1b[2J", "\ud83d", "\u202e", "\n", "\t"),
    *(
        "<agents>",
        "</agents>",
        "<reason>",
        "</reason>",
        "<think>",
        "</think>",
        "<agent>",
        "```json\n",
        "```",
        "out of scope",
    ),
    *(
        '{"agents":',
        '"out_of_scope": true',
        '"agents": ["',
        "[[[[[[[[",
        "{{{{",
        "1e999",
        "9" * 5000,
        "NaN",
        "null",
        "\\u12",
    ),
    *("I am sorry, ", "`solver`", "math-pro", "Ich weiß es nicht. ", "抱歉", "None of them. ", "\\ud800", "x" * 3000),
)
K = 3
Rng = np.random.Generator


def pick(rng: Rng, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def good(rng: Rng) -> str:
    """Write a reply in one of the two forms, its ids not always known."""
    ids = [pick(rng, ASKED if rng.random() < 0.8 else UNKNOWN) for _ in range(int(rng.choice([0, 1, 1, 2, 3, 5, 100])))]
    reason, scope = pick(rng, ("It is a sum.", "", "coder, of course", *HOSTILE)), bool(rng.random() < 0.2)
    if rng.random() < 0.3:
        inside = "out of scope" if scope else json.dumps(ids)
        return f"<reason>{reason}</reason>\n<agents>{inside}</agents>"
    return json.dumps({"reason": reason, "agents": ids, "out_of_scope": scope}, ensure_ascii=bool(rng.random() < 0.5))


def cut(text: str, rng: Rng) -> str:
    return text[: int(rng.integers(len(text) + 1))]


def dropped(text: str, rng: Rng) -> str:
    start = int(rng.integers(len(text) + 1))
    return text[:start] + text[start + int(rng.integers(1, 4)) :]


def planted(text: str, rng: Rng) -> str:
    place = int(rng.integers(len(text) + 1))
    return text[:place] + pick(rng, HOSTILE) + text[place:]


def wrapped(text: str, rng: Rng) -> str:
    return pick(rng, HOSTILE) + text + pick(rng, HOSTILE)


def doubled(text: str, rng: Rng) -> str:
    return text + good(rng)


def renamed(text: str, rng: Rng) -> str:
    words = ("agents", "reason", "out_of_scope", "false", '"', "[", "]", "solver")
    return text.replace(pick(rng, words), pick(rng, (*words, *HOSTILE)))


def noise(text: str, rng: Rng) -> str:
    return "".join(chr(int(point)) for point in rng.integers(0, 0x3000, size=int(rng.integers(60))))


HARMS: tuple[Callable[[str, Rng], str], ...] = (cut, cut, dropped, planted, planted, wrapped, doubled, renamed, noise)


def hostile(seed: int) -> str:
    """Write a reply and do it up to three harms."""
    rng = np.random.default_rng([29, seed])
    text = good(rng)
    for _ in range(int(rng.integers(4))):
        text = HARMS[int(rng.integers(len(HARMS)))](text, rng)
    return text


def is_wanted(text: str) -> bool:
    """Return whether a reply is just what was asked for: the form, known ids, each once, not too many, a reason."""
    tags = re.fullmatch(r"\s*<reason>([^<]+)</reason>\s*<agents>([^<]+)</agents>\s*", text)
    try:
        if tags is None:
            value = json.loads(text)
            reason, agents, scope = value["reason"], value["agents"], value["out_of_scope"]
        else:
            scope = tags[2].strip() == "out of scope"
            reason, agents = tags[1], [] if scope else json.loads(tags[2])
        known = all(agent in ASKED for agent in agents) and len(set(agents)) == len(agents) <= K
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(agents, list) and known and bool(reason.strip()) and scope is (not agents)


def check(text: str) -> Parsed:
    parsed = parse(text, asked=ASKED, most=K)
    assert set(parsed.named) <= set(ASKED)
    assert len(set(parsed.named)) == len(parsed.named) <= K
    assert [bool(parsed.named), parsed.out_of_scope, bool(parsed.fault)].count(True) == 1
    assert parsed.reason.translate(dict.fromkeys(map(ord, JOINERS))).isprintable()
    assert all(repair.isprintable() for repair in parsed.repairs)
    assert is_wanted(text) or parsed.repairs or parsed.fault, text
    return parsed


def counted(cases: range) -> dict[str, int]:
    """Check many replies, and count how they ended."""
    counts = {"named": 0, "scope": 0, "fault": 0, "plain": 0, "repaired": 0}
    for seed in cases:
        parsed = check(hostile(seed))
        ended = "named" if parsed.named else "scope" if parsed.out_of_scope else "fault"
        counts[ended] += 1
        counts["repaired" if parsed.repairs else "plain"] += 1
    return counts


@pytest.mark.parametrize("part", range(4))
def test_no_reply_names_a_stranger_or_too_many_or_is_repaired_in_silence(part):
    counts = counted(range(500 * part, 500 * (part + 1)))
    assert min(counts.values()) >= 15, counts  # the generator reaches every end


@pytest.mark.soak
def test_no_reply_of_twenty_thousand_names_a_stranger():
    assert min(counted(range(2000, 22_000)).values()) > 500


@given(st.text() | st.text(alphabet='{}[]":,<>/agentsro_\\ \n', max_size=300))
def test_any_text_at_all_is_understood_or_a_fault(text):
    check(text)


@given(st.lists(st.sampled_from(ASKED), unique=True, max_size=K), st.text(min_size=1))
def test_what_was_asked_for_is_taken_as_it_is(ids, reason):
    text = json.dumps({"reason": f"Well: {reason}", "agents": ids, "out_of_scope": not ids})
    parsed = parse(text, asked=ASKED, most=K)
    assert (parsed.named, parsed.out_of_scope, parsed.fault) == (tuple(ids), not ids, "")
    assert set(parsed.repairs) <= {"the reason speaks of other agents than are named"}


@given(st.text(), st.lists(st.text(min_size=1), unique=True, max_size=20), st.integers(1, 5))
def test_any_ids_may_be_asked_about(text, ids, most):
    parsed = parse(json.dumps({"reason": text, "agents": ids, "out_of_scope": False}), asked=ids, most=most)
    assert parsed.named == tuple(ids[:most])


sets = st.sets(st.sampled_from("abcdef"))


@given(sets, sets, st.floats(0, 1), st.floats(0, 2))
def test_a_reward_is_highest_for_just_the_right_set(named, right, balance, excess):
    best = reward(right, right, balance=balance, excess=excess)
    value = reward(named, right, balance=balance, excess=excess)
    assert best == pytest.approx(1.0)
    assert value <= best + 1e-9
    assert value >= -excess * len(named)


@given(sets, sets, st.floats(0, 1))
def test_without_a_price_a_right_agent_more_never_lowers_a_reward_and_a_wrong_one_never_raises_it(
    named, right, balance
):
    for agent in set("abcdef") - named:
        change = reward(named | {agent}, right, balance=balance, excess=0) - reward(
            named, right, balance=balance, excess=0
        )
        assert change >= -1e-9 if agent in right else change <= 1e-9


@given(sets, sets)
def test_a_reward_knows_neither_order_nor_repetition(named, right):
    ordered = sorted(named)
    assert reward(ordered + ordered[::-1], sorted(right, reverse=True)) == reward(named, right)


def test_a_reward_by_hand():
    assert reward("ab", "bc", balance=0.5, excess=0.1) == pytest.approx(0.5)
    assert reward("abcd", "ab", balance=0.25, excess=0.1) == pytest.approx(0.25 * 0.5 + 0.75 - 0.2)
    assert reward("", "a") == 0.0
    assert reward("ab", "") == pytest.approx(-0.2)


@pytest.mark.parametrize("arguments", [{"balance": -0.1}, {"balance": 1.1}, {"excess": -1}, {"excess": float("nan")}])
def test_a_reward_out_of_range_is_refused(arguments):
    with pytest.raises(ConfigError, match="out of range"):
        reward("a", "a", **arguments)


@given(st.lists(st.tuples(sets, sets), min_size=1, max_size=5))
def test_measures_of_sets_bound_one_another(pairs):
    found = measured([named for named, _ in pairs], [right for _, right in pairs])
    assert found.exact <= min(found.precision, found.recall) + 1e-9
    assert found.exact <= found.f1 + 1e-9 <= found.hit + 2e-9
    assert max(found.precision, found.recall) <= found.hit + 1e-9 <= 1 + 2e-9
    assert found.mean_agents == pytest.approx(sum(len(named) for named, _ in pairs) / len(pairs))


def test_measures_need_a_task_and_as_many_of_both():
    for named, right in (([], []), ([{"a"}], [])):
        with pytest.raises(ConfigError, match="a task at least"):
            measured(named, right)
