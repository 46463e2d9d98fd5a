"""Agents put to tasks with known right answers."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from agentmesh.agents import Agent, Registry
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import RecordedSetError
from agentmesh.graphs.limits import Budget
from agentmesh.judging import CallableVerifier
from agentmesh.learning.probe_tasks import GoldVerifier, ProbeTask, drawn, tasks_of_file, tasks_of_set
from agentmesh.learning.probing import Member, Prober
from agentmesh.recorded import AgentLine, SetInfo, TaskLine, write_set
from agentmesh.records import Answer, Limits, Task, Usage
from agentmesh.testing import CannedAgent, EchoAgent, FailingAgent, HangingAgent, NoneAgent


def team(*agents: Agent) -> list[Member]:
    registry = Registry(HashingEmbedder(), agents)
    return [Member(registry.get(card.id), card) for card in registry.cards()]


def tasks(*golds: str | None, kinds: Sequence[str] = ()) -> list[ProbeTask]:
    return [ProbeTask(Task(id=f"t{i}", text=f"question {i}"), tuple(kinds), gold) for i, gold in enumerate(golds)]


async def test_an_answer_is_right_if_it_is_the_same_as_the_right_one() -> None:
    report = await Prober(tasks("84", "84", "7", kinds=["math"])).probe(team(CannedAgent(["It is 84."])))
    (skill,) = report.skills
    assert (skill.overall.n, skill.overall.quality, skill.overall.failures) == (3, pytest.approx(2 / 3), 0)
    assert [(kind.kind, kind.n) for kind in skill.kinds] == [("math", 3)]
    assert (report.calls, report.refused, report.unscored) == (3, 0, 0)


async def test_a_verifier_of_the_mesh_speaks_before_the_right_answer_does() -> None:
    lenient = CallableVerifier(lambda _task, _answer: 0.75, name="lenient")
    report = await Prober(tasks("84"), [lenient]).probe(team(CannedAgent(["12"])))
    assert report.skills[0].overall.quality == 0.75


async def test_a_verifier_that_fails_is_told_and_the_right_answer_decides() -> None:
    def broken(_task: Task, _answer: str) -> float:
        raise ValueError("no rule")

    report = await Prober(tasks("84"), [CallableVerifier(broken, name="broken")]).probe(team(CannedAgent(["84"])))
    assert report.skills[0].overall.quality == 1.0
    assert report.problems == ("'verifier:broken' could not score agent 'canned': ValueError: no rule",)


async def test_an_answer_that_nobody_can_score_is_counted_apart() -> None:
    report = await Prober(tasks(None, "84")).probe(team(CannedAgent(["84"])))
    assert (report.calls, report.unscored, report.skills[0].overall.n) == (2, 1, 1)


async def test_a_call_that_fails_or_returns_no_answer_is_a_task_of_quality_0() -> None:
    report = await Prober(tasks("84")).probe(team(FailingAgent(error=ValueError("down")), NoneAgent()))
    assert [(one.overall.quality, one.overall.failures) for one in report.skills] == [(0.0, 1), (0.0, 1)]
    assert "agent 'failing' on task 't0': ValueError: down" in report.problems


async def test_an_answer_that_comes_too_late_is_a_failure() -> None:
    agent = HangingAgent()
    report = await Prober(tasks("84"), call_timeout_s=0.01).probe(team(agent))
    assert report.skills[0].overall.failures == 1
    assert report.problems == ("agent 'hanging' on task 't0': no answer within 0.01 s",)
    assert agent.cancelled == 1


async def test_under_a_limit_calls_that_do_not_fit_are_not_made_and_all_agents_are_met_alike() -> None:
    agents = [CannedAgent(["84"], name, price_per_call_usd="0.25") for name in ("a", "b")]
    purse = Budget(Limits(cost_usd="1"))
    report = await Prober(tasks(*["84"] * 4), purse=purse).probe(team(*agents))
    assert (report.calls, report.refused, report.cost_usd) == (4, 4, Decimal("1.00"))
    assert [agent.calls for agent in agents] == [2, 2]
    assert "are left" in report.problems[0]


async def test_what_a_call_cost_is_settled_so_that_a_cheap_answer_leaves_money() -> None:
    agent = CannedAgent([Answer(text="84", cost_usd="0")], price_per_call_usd="1")
    report = await Prober(tasks("84", "84"), purse=Budget(Limits(cost_usd="1")), at_once=1).probe(team(agent))
    assert (report.calls, report.refused, report.cost_usd) == (2, 0, Decimal(0))


async def test_a_cost_that_is_not_known_leaves_the_sum_unknown() -> None:
    free = CannedAgent([Answer(text="84", cost_usd="0.5", usage=Usage())], "free")
    report = await Prober(tasks("84")).probe(team(EchoAgent(), free))
    assert report.cost_usd is None
    assert [one.overall.cost_usd for one in report.skills] == [None, 0.5]


class Crowd(Agent):
    """Notes how many calls are under way, each of which ends when ``gathers`` were and the loop has been around."""

    description = "Counts."

    def __init__(self, name: str, *, at_once: int | None = None, gathers: int = 1) -> None:
        self.id, self.max_concurrency = name, at_once
        self.now = self.most = 0
        self._gathers, self._are_gathered = gathers, asyncio.Event()

    async def run(self, task: Task) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == self._gathers:
            self._are_gathered.set()
        await self._are_gathered.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        self.now -= 1
        return task.text


async def test_calls_under_way_are_bounded_in_all_and_for_each_agent() -> None:
    free, narrow = Crowd("free", gathers=3), Crowd("narrow", at_once=1)
    await Prober(tasks(*["x"] * 12), at_once=3).probe(team(free, narrow))
    assert narrow.most == 1
    assert free.most == 3


def test_the_right_answer_is_not_in_the_task() -> None:
    (task,) = tasks("84")
    assert "84" not in task.task.model_dump_json()


def test_a_task_that_the_verifier_does_not_know_gets_no_score() -> None:
    assert GoldVerifier(tasks("84")).verify(Task(text="another"), "84") is None


def test_lines_of_a_file_become_tasks_with_kinds_from_hint_and_skills(tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(
        '{"text": "12 * 7?", "gold": "84", "type_hint": "math", "skills": ["math", "school"]}\n'
        '{"id": "x", "text": "?"}\n',
        encoding="utf-8",
    )
    first, second = tasks_of_file(file)
    assert (first.task.id, first.task.type_hints, first.kinds, first.gold) == (
        "line 1",
        ("math",),
        ("math", "school"),
        "84",
    )
    assert (second.task.id, second.kinds, second.gold) == ("x", (), None)


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "holds no task"), ('{"id": "a", "text": "?"}\n' * 2, ":2: task 'a' stands here twice"), ("{}\n", ":1: text")],
)
def test_a_file_that_cannot_be_used_is_an_error_that_says_where(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RecordedSetError, match=message):
        tasks_of_file(file)


def small_set(folder: Path, *, gold: str | None) -> str:
    lines = [
        TaskLine(id=split, split=split, text="question", group="math", context="facts", labels=("ada",), gold=gold)
        for split in ("train", "val", "test")
    ]
    info = SetInfo(name="small", kind="labels")
    write_set(folder / "set", info, agents=[AgentLine(id="ada", description="Adds.")], tasks=lines)
    return str(folder / "set")


def test_a_set_gives_its_open_tasks_behind_their_context_and_no_test_rows(tmp_path: Path) -> None:
    found = tasks_of_set(small_set(tmp_path, gold="84"))
    assert [(one.task.id, one.task.text, one.kinds, one.gold) for one in found] == [
        ("train", "facts\nquestion", ("math",), "84"),
        ("val", "facts\nquestion", ("math",), "84"),
    ]


def test_a_set_without_right_answers_cannot_be_probed(tmp_path: Path) -> None:
    with pytest.raises(RecordedSetError, match=r"no open task of .* has a right answer"):
        tasks_of_set(small_set(tmp_path, gold=None))


def test_a_draw_depends_on_the_seed_alone_and_keeps_the_order() -> None:
    known = tasks(*["x"] * 50)
    first, again, other = (drawn(known, 5, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert first == sorted(first, key=known.index)
    assert drawn(known, 50) == drawn(known, None) == known
