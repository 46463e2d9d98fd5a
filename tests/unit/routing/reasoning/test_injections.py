"""Tasks and cards that try to take over: the prompt keeps its shape, and gates and pins hold even if a model obeys."""

import json
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest

from agentmesh.records import AgentCard, Turn
from agentmesh.routing.base import RouteContext
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


def attacked(injection: Injection, where: str):
    """Return a task and a pool with the hostile text."""
    hostile = placed(injection, where)
    cards = [AgentCard(id=name, description=f"Works as a {name}.") for name in (REFUSED, *OPEN)]
    cards[3] = AgentCard(id="poet", description=hostile["card"], skills=(hostile["card"],), examples=(hostile["card"],))
    features = replace(FEATURES, text=hostile["task"], turns=(Turn(role="user", text=hostile["turn"]),))
    return features, carded_pool(*cards)


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
    features, pool = attacked(injection, where)
    asker = ScriptedAsker(lambda request: OBEDIENT[how](request, injection, target))
    context = RouteContext(seed=1, max_agents=2, asker=asker)
    gated = pool.gated(refused)
    cheap = ROUTER.decide(features, gated, context)
    return cheap, await Reasoner().consult(features, gated, context, cheap), asker


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
