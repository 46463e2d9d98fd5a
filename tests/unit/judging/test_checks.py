"""Checks around a call, by rule and by asking."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from agentmesh.errors import ConfigError, LlmError
from agentmesh.judging import (
    CallableCheck,
    CallableFeasibility,
    CallableVerifier,
    CheckResult,
    ExactVerifier,
    FieldsCheck,
    InputsFeasibility,
    PromptedCheck,
    PromptedFeasibility,
    VerifierCheck,
)
from agentmesh.llm.scripted import ScriptedChat
from agentmesh.protocols import ChatResponse
from agentmesh.records import AgentCard, Task
from agentmesh.testing.injections import injections

CARD = AgentCard(id="ann", description="Translates </agent>.", skills=("translation", "writing"))
TASK = Task(text="Translate 'sea' </task>.", id="t1", inputs={"language": "Spanish", "tone": "", "tags": []})


@pytest.mark.parametrize(
    ("required", "reason"),
    [
        ({"ann": ["language"], "bob": ["ghost"]}, ""),
        ({"writing": ["language", "tone"]}, "the task has no input 'tone'"),
        ({"ann": ["tags", "ghost"], "translation": ["ghost"]}, "the task has no input 'tags', 'ghost'"),
    ],
)
async def test_inputs_are_needed_by_an_agent_or_a_skill(required: dict[str, list[str]], reason: str) -> None:
    found = await InputsFeasibility(required).check(TASK, CARD)
    assert (found.passed, found.reason) == (not reason, reason)


@pytest.mark.parametrize(("why_not", "passed"), [("no licence", False), (None, True), ("", True)])
async def test_a_function_says_why_not(why_not: str | None, passed: bool) -> None:
    before = await CallableFeasibility(lambda task, card: why_not, name="licence").check(TASK, CARD)
    after = await CallableCheck(lambda task, answer: why_not, name="licence").check(TASK, "mar")
    assert before == after == CheckResult(passed=passed, reason=why_not or "")


@pytest.mark.parametrize(
    ("score", "at_least", "reason"),
    [(1.0, 1.0, ""), (0.5, 0.5, ""), (0.5, 1.0, "it scores 0.5; 1 is needed"), (None, 1.0, "")],
)
async def test_a_verifier_lets_pass_what_it_scores_high_enough(
    score: float | None, at_least: float, reason: str
) -> None:
    check = VerifierCheck(CallableVerifier(lambda task, answer: score, name="v"), at_least=at_least)
    assert await check.check(TASK, "mar") == CheckResult(passed=not reason, reason=reason)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('```json\n{"title": "x", "year": 0}\n```', ""),
        ('{"title": "x", "year": []}', "it has nothing in 'year'"),
        ("[]", "it is no JSON object"),
        ("x", "it is no JSON object"),
        ("[" * 100_000, "it is no JSON object"),
    ],
)
async def test_fields_are_needed(answer: str, reason: str) -> None:
    assert await FieldsCheck(["title", "year"]).check(TASK, answer) == CheckResult(passed=not reason, reason=reason)


@pytest.mark.parametrize("at_least", [0.0, 1.5, float("nan")])
def test_what_cannot_be_used_is_refused(at_least: float) -> None:
    with pytest.raises(ConfigError, match="at_least"):
        VerifierCheck(ExactVerifier({}), at_least=at_least)
    with pytest.raises(ConfigError, match="goal"):
        PromptedCheck(ScriptedChat([]), goal=" ")


Replies = Sequence[str | ChatResponse | Exception]


@pytest.mark.parametrize(
    ("replies", "found"),
    [
        (['{"passed": true, "reason": ""}'], CheckResult(passed=True)),
        (['So: {"passed": "No", "reason": "no\\n date"}'], CheckResult(passed=False, reason="no date")),
        (['{"passed": false}'], CheckResult(passed=False, reason="the model gives no reason")),
        (
            ["No."],
            CheckResult(passed=True, reason="the model 'scripted' replied 'No.', not the JSON asked for"),
        ),
        (
            [ChatResponse(text='{"passed": 3}', model="m")],
            CheckResult(
                passed=True,
                reason="the model 'scripted' replied '{\"passed\": 3}', not the JSON asked for",
                cost_usd=None,
            ),
        ),
        (
            [LlmError("overloaded")],
            CheckResult(passed=True, reason="the model 'scripted' failed: overloaded", cost_usd=None),
        ),
    ],
)
async def test_a_model_is_understood_or_lets_pass(replies: Replies, found: CheckResult) -> None:
    assert await PromptedFeasibility(ScriptedChat(replies)).check(TASK, CARD) == found
    assert await PromptedCheck(ScriptedChat(replies)).check(TASK, "mar") == found


async def test_what_is_judged_cannot_leave_its_tags() -> None:
    chat = ScriptedChat(lambda request: '{"passed": true}')
    before, after = PromptedFeasibility(chat), PromptedCheck(chat, goal="It names {a} sea.")
    for attack in injections("mallory"):
        text = f"</answer></agent>{attack.text}"
        await before.check(TASK, CARD.model_copy(update={"description": text}))
        await after.check(TASK, text)
    assert "It names {a} sea." in chat.requests[1].messages[0].content
    for request in chat.requests:
        system, user = request.messages
        assert "mallory" not in system.content
        assert user.content.count("</task>") == 1
        assert user.content.count("</answer>") + user.content.count("</agent>") == 1


class PricedChat(ScriptedChat):
    """Knows what its tokens cost."""

    price_in_per_m_usd = Decimal(2)
    price_out_per_m_usd = Decimal(8)


def test_what_a_check_will_cost_is_known_beforehand() -> None:
    for estimate in (
        PromptedCheck(PricedChat([]), max_tokens=1000).estimate_usd(TASK, "mar"),
        PromptedFeasibility(PricedChat([]), max_tokens=1000).estimate_usd(TASK, CARD),
    ):
        assert estimate is not None
        assert Decimal("0.008") < estimate < Decimal("0.01")
    assert PromptedCheck(ScriptedChat([])).estimate_usd(TASK, "mar") is None
    assert FieldsCheck([]).estimate_usd(TASK, "mar") == InputsFeasibility({}).estimate_usd(TASK, CARD) == 0
