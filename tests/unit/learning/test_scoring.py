"""Scores by verifiers and a judge, whatever they do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from agentmesh.errors import LlmError
from agentmesh.judging import PromptedJudge
from agentmesh.learning.sampling import is_judged
from agentmesh.learning.scoring import Score, score_answers
from agentmesh.learning.settings import Learning
from agentmesh.llm.scripted import ScriptedChat
from agentmesh.protocols import Judge, Verifier
from agentmesh.records import AgentCall, Answer, CallStatus, LearningFault, Run, RunStatus, Task
from agentmesh.store.memory import MemoryStore

Check = Callable[[Task, str], float | None]


class Rule:
    """A verifier that does what it is told."""

    def __init__(self, check: Check, name: str = "rule") -> None:
        self.name = name
        self.verify = check


class Opinion:
    """A judge that does what it is told and counts how often it was asked."""

    def __init__(self, say: Callable[[str], Awaitable[float | None]], name: str = "opinion") -> None:
        self.name = name
        self.asked: list[str] = []
        self._say = say

    async def judge(self, task: Task, answer: str) -> float | None:
        self.asked.append(answer)
        return await self._say(answer)


class StandingClock:
    """A clock that shows one instant."""

    def now(self) -> float:
        return 50.0

    def monotonic(self) -> float:
        return 0.0


def call(agent_id: str, text: str | None, **fields: object) -> AgentCall:
    answer = None if text is None else Answer(text=text)
    status = CallStatus.FAILED if text is None else CallStatus.OK
    return AgentCall.model_validate({"agent_id": agent_id, "status": status, "answer": answer, **fields})


def run_of(*calls: AgentCall, run_id: str = "r") -> Run:
    return Run(id=run_id, task=Task(text="12 * 7?"), status=RunStatus.COMPLETED, calls=calls, started_at=0.0)


TWO = run_of(call("ada", "84"), call("bob", "85"))


def always(value: object) -> Opinion:
    async def say(_answer: str) -> float | None:
        return value  # type: ignore[return-value]

    return Opinion(say)


async def hang(_answer: str) -> float | None:
    await asyncio.Event().wait()
    return 1.0


def is_84(_task: Task, answer: str) -> float | None:
    return float(answer == "84")


def raises(error: BaseException) -> Check:
    def check(_task: Task, _answer: str) -> float | None:
        raise error

    return check


async def outcome(
    run: Run,
    verifiers: tuple[Verifier, ...] = (),
    judge: Judge | None = None,
    *,
    learning: Learning | None = None,
    seed: int = 0,
) -> tuple[list[Score], list[LearningFault]]:
    store = MemoryStore()
    scoring = score_answers(run, verifiers, judge, store=store, learning=learning, seed=seed, clock=StandingClock())
    return [score async for score in scoring], store.faults()[::-1]


async def test_the_first_verifier_with_a_say_settles_an_answer() -> None:
    silent, rule, other = Rule(lambda _t, _a: None, "silent"), Rule(is_84), Rule(lambda _t, _a: 0.5, "other")
    judge = always(0.1)
    scores, faults = await outcome(TWO, (silent, rule, other), judge)
    assert scores == [Score("ada", 1.0, "verifier:rule"), Score("bob", 0.0, "verifier:rule")]
    assert (faults, judge.asked) == ([], [])


async def test_the_judge_is_asked_about_what_no_verifier_settled() -> None:
    judge = always(0.25)
    some = Rule(lambda _t, answer: 1.0 if answer == "84" else None)
    scores, faults = await outcome(TWO, (some,), judge)
    assert scores == [Score("ada", 1.0, "verifier:rule"), Score("bob", 0.25, "judge:opinion")]
    assert (faults, judge.asked) == ([], ["85"])


async def test_a_judge_that_declines_scores_nothing_and_is_no_fault() -> None:
    assert await outcome(TWO, (), always(None)) == ([], [])


async def test_only_answers_are_scored_and_of_an_agent_that_was_called_twice_the_last() -> None:
    run = run_of(call("ada", None), call("ada", "83", attempt=2), call("ada", "84", wave=2), call("bob", None))
    assert await outcome(run, (Rule(is_84),)) == ([Score("ada", 1.0, "verifier:rule")], [])


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (raises(ValueError("no idea")), "ValueError: no idea"),
        (raises(KeyError()), "KeyError"),
        (raises(RecursionError("too deep")), "RecursionError: too deep"),
        (raises(StopIteration()), "StopIteration"),
        (lambda _t, _a: 7, "the verifier:broken returned 7; accepted is a number from 0 to 1, or None"),
        (lambda _t, _a: float("nan"), "the verifier:broken returned nan; accepted is a number from 0 to 1, or None"),
        (lambda _t, _a: "yes", "the verifier:broken returned 'yes'; accepted is a number from 0 to 1, or None"),
    ],
)
async def test_a_verifier_that_fails_is_a_fault_and_the_next_one_scores(check: Check, message: str) -> None:
    scores, faults = await outcome(TWO, (Rule(check, "broken"), Rule(is_84)))
    assert scores == [Score("ada", 1.0, "verifier:rule"), Score("bob", 0.0, "verifier:rule")]
    assert [(fault.at, fault.run_id, fault.source) for fault in faults] == [(50.0, "r", "verifier:broken")] * 2
    assert [fault.message for fault in faults] == [
        f"'verifier:broken' could not score the answer of agent {agent!r}: {message}" for agent in ("ada", "bob")
    ]


async def test_a_verifier_that_exits_is_a_fault_and_ends_nothing() -> None:
    scores, (fault, _) = await outcome(TWO, (Rule(raises(SystemExit(3)), "runs"), Rule(is_84)))
    assert scores == [Score("ada", 1.0, "verifier:rule"), Score("bob", 0.0, "verifier:rule")]
    assert fault.message == "'verifier:runs' could not score the answer of agent 'ada': SystemExit: 3"


async def test_where_every_verifier_fails_the_judge_scores() -> None:
    scores, faults = await outcome(run_of(call("ada", "84")), (Rule(raises(ValueError("x"))),), always(0.5))
    assert scores == [Score("ada", 0.5, "judge:opinion")]
    assert [fault.source for fault in faults] == ["verifier:rule"]


@pytest.mark.parametrize("value", ["I would say it is right", float("nan"), 7, -0.5, True, [1.0]])
async def test_a_judge_that_returns_no_score_is_a_fault_that_quotes_it(value: object) -> None:
    scores, faults = await outcome(run_of(call("ada", "84")), (), always(value))
    assert scores == []
    (fault,) = faults
    assert fault.source == "judge:opinion"
    assert f"returned {value!r}; accepted is a number from 0 to 1, or None" in fault.message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no idea"), "ValueError: no idea"),
        (TimeoutError(), "TimeoutError"),
        (LlmError("the endpoint is down", retryable=True), "the endpoint is down"),
        (ExceptionGroup("two", [ValueError("a"), ValueError("b")]), "ExceptionGroup: two (2 sub-exceptions)"),
    ],
)
async def test_a_judge_that_raises_is_a_fault_and_the_next_answer_is_judged(error: Exception, message: str) -> None:
    async def say(answer: str) -> float | None:
        if answer == "84":
            raise error
        return 0.5

    scores, faults = await outcome(TWO, (), Opinion(say))
    assert scores == [Score("bob", 0.5, "judge:opinion")]
    assert [fault.message for fault in faults] == [
        f"'judge:opinion' could not score the answer of agent 'ada': {message}"
    ]


async def test_a_judge_that_hangs_is_given_up_and_the_next_answer_is_judged() -> None:
    async def say(answer: str) -> float | None:
        return await hang(answer) if answer == "84" else 0.5

    scores, faults = await outcome(TWO, (), Opinion(say), learning=Learning(judge_timeout_s=0.01))
    assert scores == [Score("bob", 0.5, "judge:opinion")]
    assert [fault.message.rpartition(": ")[2] for fault in faults] == ["no score came within 0.01 s"]


async def test_a_verified_answer_does_not_wait_for_a_judge_that_hangs_on_another() -> None:
    some = Rule(lambda _t, answer: 1.0 if answer == "85" else None)
    scoring = score_answers(TWO, (some,), Opinion(hang))
    assert await anext(scoring) == Score("bob", 1.0, "verifier:rule")
    await scoring.aclose()  # type: ignore[attr-defined]


async def test_a_judge_that_is_no_coroutine_function_is_a_fault() -> None:
    judge = always(1.0)
    judge.judge = lambda _task, _answer: 0.5  # type: ignore[method-assign,assignment,return-value]
    scores, faults = await outcome(run_of(call("ada", "84")), (), judge)
    assert scores == []
    assert "TypeError" in faults[0].message


async def test_the_prose_of_a_model_that_judges_is_a_fault() -> None:
    judge = PromptedJudge(ScriptedChat(["Looks right to me!", '{"score": 1}'], name="small"))
    scores, faults = await outcome(TWO, (), judge)
    assert scores == [Score("bob", 1.0, "judge:small")]
    assert "the judge replied 'Looks right to me!'" in faults[0].message


async def test_a_cancellation_passes_and_is_no_fault() -> None:
    store, entered = MemoryStore(), asyncio.Event()

    async def say(answer: str) -> float | None:
        entered.set()
        return await hang(answer)

    async def score() -> list[Score]:
        return [score async for score in score_answers(TWO, (), Opinion(say), store=store)]

    async with asyncio.TaskGroup() as group:
        scoring = group.create_task(score())
        await entered.wait()
        scoring.cancel()
    assert scoring.cancelled()
    assert store.faults() == []


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
async def test_the_judge_is_asked_about_its_share_of_the_runs(share: float) -> None:
    judge, runs = always(1.0), [run_of(call("ada", f"{place}"), run_id=f"run-{place}") for place in range(40)]
    for run in runs:
        await outcome(run, (), judge, learning=Learning(judge_share=share), seed=3)
    expected = [run.id for run in runs if is_judged(share, seed=3, run_id=run.id, judge="opinion")]
    assert [f"run-{answer}" for answer in judge.asked] == expected
    assert (len(expected) == 0, len(expected) == 40) == (share == 0.0, share == 1.0)


async def test_verifiers_score_every_run_whatever_the_judges_share() -> None:
    scores, _ = await outcome(TWO, (Rule(is_84),), always(1.0), learning=Learning(judge_share=0.0))
    assert [score.value for score in scores] == [1.0, 0.0]


async def test_without_a_store_a_fault_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        scores = [score async for score in score_answers(TWO, (Rule(raises(ValueError("no idea"))),), None)]
    assert scores == []
    assert "run 'r': 'verifier:rule' could not score the answer of agent 'ada': ValueError: no idea" in caplog.text


async def test_a_store_that_takes_no_fault_does_not_stop_the_scoring(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.close()
    checks = (Rule(raises(ValueError("no idea")), "broken"), Rule(is_84))
    scores = [score async for score in score_answers(TWO, checks, None, store=store)]
    assert [score.value for score in scores] == [1.0, 0.0]
    assert "could not be stored: the store 'memory://' is closed" in caplog.text
