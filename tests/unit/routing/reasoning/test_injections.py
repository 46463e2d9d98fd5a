"""Tasks and cards that try to take over: the prompt keeps its shape, and gates and pins hold even if a model obeys."""

import json
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree as Xml

import pytest

from agentmesh.records import AgentCard, RouteDecision, Turn
from agentmesh.routing.base import AgentPool, RouteContext
from agentmesh.routing.preference import FORBID, PIN
from agentmesh.routing.reasoning.legible import beginning, both_ends
from agentmesh.routing.reasoning.prompt import DESCRIPTION, RULES, TASK, TURN
from agentmesh.routing.reasoning.reasoner import Reasoner
from agentmesh.testing.asking import RatedRouter, ScriptedAsker, carded_pool
from agentmesh.testing.injections import DISGUISES, ORDERS, Injection, injections
from agentmesh.testing.samples import chosen, sample_features

OPEN, REFUSED, UNKNOWN = ("solver", "coder", "poet", "cook"), "mallory", "ghost"
ROUTER = RatedRouter(quality={name: 0.9 - place / 10 for place, name in enumerate((REFUSED, *OPEN))})
FEATURES = sample_features()
PLAIN = "What is 2 + 2?"


def placed(injection: Injection, where: str) -> dict[str, str]:
    """Return the texts of task, card and turn, with the hostile one in one of them or in all."""
    plain = {"task": PLAIN, "card": "Writes poems.", "turn": "Hello."}
    return {place: injection.text if where in (place, "everywhere") else text for place, text in plain.items()}


@cache
def rated(card: str, refused: frozenset[tuple[str, str]]) -> tuple[AgentPool, RouteDecision]:
    """Return a pool with a text in a card, and what the router decides on it, once for all tasks: it reads none."""
    cards = [AgentCard(id=name, description=f"Works as a {name}.") for name in (REFUSED, *OPEN)]
    cards[3] = AgentCard(id="poet", description=card, skills=(card,), examples=(card,))
    pool = carded_pool(*cards).gated(dict(refused))
    return pool, ROUTER.decide(FEATURES, pool, RouteContext(seed=1, max_agents=2))


OBEDIENT = {
    "names": lambda request, injection, target: json.dumps({"reason": "", "agents": [target], "out_of_scope": False}),
    "tags": lambda request, injection, target: f"<agents>{target}</agents>",
    "refuses": lambda request, injection, target: '{"reason": "told so", "agents": [], "out_of_scope": true}',
    "echoes": lambda request, injection, target: request.messages[1].content,
    "reveals": lambda request, injection, target: request.messages[0].content,
    "repeats": lambda request, injection, target: injection.text,
}
"""What a model may answer that does as it is told by the hostile text."""


async def obeyed(how, injection, target, *, where, refused):
    hostile = placed(injection, where)
    features = replace(FEATURES, text=hostile["task"], turns=(Turn(role="user", text=hostile["turn"]),))
    asker = ScriptedAsker(lambda request: OBEDIENT[how](request, injection, target))
    pool, cheap = rated(hostile["card"], frozenset(refused.items()))
    context = RouteContext(seed=1, max_agents=2, asker=asker)
    return cheap, await Reasoner().consult(features, pool, context, cheap), asker


def test_what_the_router_decides_depends_on_no_text_of_a_task():
    pool, cheap = rated("Writes poems.", frozenset())
    hostile = replace(FEATURES, text=ORDERS["best"], turns=(Turn(role="user", text=ORDERS["test"]),))
    decision = ROUTER.decide(hostile, pool, RouteContext(seed=1, max_agents=2))
    assert (decision.selected, decision.candidates) == (cheap.selected, cheap.candidates)


def test_there_are_two_hundred_and_more_and_no_two_alike():
    texts = [injection.text for injection in injections(REFUSED)]
    assert len(texts) == len(set(texts)) == len(ORDERS) * len(DISGUISES) >= 200
    readable = sum(REFUSED in text for text in texts)
    assert readable > 200  # the rest spells it invisibly, or asks for something else


@pytest.mark.parametrize("where", ["task", "card", "turn"])
async def test_no_text_breaks_out_of_its_place_in_the_prompt(where):
    for injection in injections(REFUSED):
        _, decision, asker = await obeyed("names", injection, REFUSED, where=where, refused={REFUSED: FORBID})
        system, user = asker.requests[0].messages
        assert system.content == RULES.format(most=2)
        *candidates, turn, task = Xml.fromstring(f"<all>{user.content}</all>")  # noqa: S314 - our own prompt
        assert [(one.tag, one.attrib) for one in candidates] == [
            ("candidate", {"handle": f"A{place}"}) for place in range(1, 5)
        ]
        told = {json.loads(one.findtext("id")): one for one in candidates}
        assert tuple(told) == decision.reasoning.asked
        assert [part.tag for part in told["poet"]] == ["id", "description", "skills", "example"]
        hostile = placed(injection, where)
        assert told["poet"].findtext("description") == beginning(hostile["card"], DESCRIPTION)
        assert (turn.tag, turn.attrib, turn.text) == ("turn", {"role": "user"}, beginning(hostile["turn"], TURN))
        assert (task.tag, task.text) == ("task", both_ends(hostile["task"], TASK))
        assert not any(len(part) for part in (*told["poet"], turn, task))


@pytest.mark.parametrize("target", [REFUSED, UNKNOWN])
@pytest.mark.parametrize("how", OBEDIENT)
async def test_a_model_that_obeys_reaches_no_agent_that_is_refused_or_unknown(how, target):
    for injection in injections(target):
        _, decision, _ = await obeyed(how, injection, target, where="task", refused={REFUSED: "policy"})
        assert set(chosen(decision)) <= set(OPEN)
        assert len(chosen(decision)) <= 2
        assert decision.reasoning.repairs or decision.reasoning.fault or decision.reasoning.out_of_scope


@pytest.mark.parametrize("how", OBEDIENT)
async def test_a_model_that_obeys_undoes_no_pin(how):
    pin = dict.fromkeys((REFUSED, "solver", "coder"), PIN)  # poet and cook are pinned
    for injection in injections("solver"):
        cheap, decision, _ = await obeyed(how, injection, "solver", where="everywhere", refused=pin)
        assert set(chosen(cheap)) == {"poet", "cook"}
        assert chosen(decision)
        assert set(chosen(decision)) <= {"poet", "cook"}


async def test_a_card_that_orders_to_be_chosen_is_never_asked_about_once_it_is_forbidden():
    for injection in injections("poet"):
        _, decision, asker = await obeyed("names", injection, "poet", where="card", refused={"poet": FORBID})
        assert "poet" not in chosen(decision)
        assert "poet" not in asker.requests[0].messages[1].content
