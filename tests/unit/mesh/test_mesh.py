"""The mesh as a user meets it: route, run, stream, feedback, and what happens when something goes wrong."""

import asyncio
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path

import pytest

from agentmesh import Agent, Answer, Learning, Limits, Mesh, Preference, Run, RunStatus, Task, agent, open_store
from agentmesh.errors import ConfigError, NoCandidateError, RegistrationError, RunNotFoundError, StoreError
from agentmesh.events import AnswerChunk, Event, RunFinished, RunStarted
from agentmesh.records import CallStatus
from agentmesh.testing.agents import (
    CannedAgent,
    EchoAgent,
    FailingAgent,
    HangingAgent,
    NoneAgent,
    StreamingAgent,
)


@agent(description="Solves arithmetic and algebra word problems.", skills=["math"], price_per_call_usd="0.0002")
async def mathematician(task: Task) -> str:
    return "84"


class Historian(Agent):
    description = "Answers questions on world history, with dates."
    skills = ("history",)

    async def run(self, task: Task) -> str:
        return "the Nabataeans"


TEAM = Limits(max_agents=9)


async def test_a_run_is_routed_answered_and_stored(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    async with Mesh([mathematician, Historian()], store=url, explore=0) as mesh:
        run = await mesh.run("Solve this algebra problem: what is 12 * 7?")
    assert (run.status, run.answer, run.answered_by) == (RunStatus.COMPLETED, "84", ("mathematician",))
    assert run.cost_usd == Decimal("0.0002")
    with open_store(url, read_only=True) as store:
        assert store.run(run.id) == run


async def test_route_decides_and_calls_nobody() -> None:
    echo = EchoAgent("echo")
    async with Mesh([echo, Historian()]) as mesh:
        decision = await mesh.route("Who built Petra? A question on world history.")
        assert mesh.store.runs() == []
    assert [choice.agent_id for choice in decision.selected] == ["historian"]
    assert echo.calls == 0


async def test_a_dry_run_is_the_same_every_time() -> None:
    async with Mesh([EchoAgent("a"), EchoAgent("b"), EchoAgent("c")], explore=1.0) as mesh:
        first, second = await mesh.route("x"), await mesh.route("x")
    assert first.selected == second.selected


async def test_feedback_changes_who_is_chosen() -> None:
    good, bad = CannedAgent(["yes"], id="good"), CannedAgent(["no"], id="bad")
    async with Mesh([good, bad], explore=0) as mesh:
        for _ in range(3):
            for name, score in (("good", 1.0), ("bad", 0.0)):
                run = await mesh.run("is water wet", limits=Limits(max_agents=2))
                await mesh.feedback(run.id, score, agent=name)
        decision = await mesh.route("is water wet")
        assert decision.selected[0].agent_id == "good"
        assert decision.router_version.endswith("@6")


async def test_feedback_on_the_answer_credits_the_agents_whose_answer_won() -> None:
    team = [CannedAgent(["7"], id="a"), CannedAgent(["7."], id="b"), CannedAgent(["8"], id="c")]
    async with Mesh(team, explore=0) as mesh:
        run = await mesh.run("lucky number?", limits=TEAM)
        await mesh.feedback(run.id, 1.0)
        learned = mesh.store.experiences()
    assert {experience.agent_id for experience in learned} == {"a", "b"} == set(run.answered_by)
    assert run.conflicts[0].positions[-1].agents == ("c",)


async def test_a_mesh_knows_what_another_learned_on_the_same_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    team = [CannedAgent(["yes"], id="good"), CannedAgent(["no"], id="bad")]
    async with Mesh(team, store=url, explore=0, learning=Learning(mode="loop")) as mesh:
        run = await mesh.run("q", limits=TEAM)
        await mesh.feedback(run.id, 0.0, agent="bad")
        await mesh.feedback(run.id, 1.0, agent="good")
        before = await mesh.route("q")
    async with Mesh(team, store=url, explore=0) as again:
        after = await again.route("q")
    assert after.router_version == before.router_version
    assert after.scores == before.scores


async def test_an_agent_that_was_changed_since_gets_the_next_version(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    team = [CannedAgent(["yes"], id="changed"), CannedAgent(["no"], id="kept")]
    async with Mesh(team, store=url) as mesh:
        await mesh.run("q")
    team[0].description = "Says yes, and means it now."
    for _ in range(2):
        async with Mesh(team, store=url) as again:
            await again.run("q")
            assert {card.id: card.version for card in again.cards()} == {"changed": 2, "kept": 1}


async def test_one_failure_loses_nothing() -> None:
    team = [CannedAgent(["42"], id="fine"), FailingAgent("broken"), HangingAgent("stuck"), NoneAgent("empty")]
    async with Mesh(team, explore=0) as mesh:
        run = await mesh.run("q", limits=Limits(max_agents=4, call_timeout_s=0.05))
    assert (run.status, run.answer) == (RunStatus.COMPLETED, "42")
    by_agent = {call.agent_id: call for call in run.calls}
    assert by_agent["broken"].status is CallStatus.FAILED
    assert by_agent["stuck"].status is CallStatus.TIMED_OUT
    assert "returned None" in (by_agent["empty"].error or "")


async def test_a_run_in_which_everybody_fails_says_why() -> None:
    async with Mesh([FailingAgent("broken", error=ValueError("no luck"))]) as mesh:
        run = await mesh.run("q")
        assert mesh.store.run(run.id).status is RunStatus.FAILED
    assert run.error == "broken: ValueError: no luck"
    assert run.answer is None


async def test_a_retry_may_succeed() -> None:
    flaky = CannedAgent([ConnectionError("gone"), "back"], id="flaky")
    async with Mesh([flaky]) as mesh:
        run = await mesh.run("q", limits=Limits(retries=1))
    assert run.answer == "back"
    assert [call.attempt for call in run.calls] == [1, 2]


async def test_a_wrong_type_is_not_tried_again() -> None:
    wrong = NoneAgent("wrong", value=17)
    async with Mesh([wrong]) as mesh:
        run = await mesh.run("q", limits=Limits(retries=3))
    assert len(run.calls) == 1
    assert "17" in (run.error or "")


async def test_a_run_ends_in_time_with_what_it_has() -> None:
    async with Mesh([HangingAgent("stuck"), CannedAgent(["soon"], id="quick")], explore=0) as mesh:
        run = await mesh.run("q", limits=Limits(max_agents=2, timeout_s=0.3, retries=5))
    assert run.answer == "soon"
    assert run.elapsed_s < 5


async def test_a_budget_of_zero_is_over_before_it_begins() -> None:
    async with Mesh([mathematician]) as mesh:
        run = await mesh.run("q", limits=Limits(cost_usd=0))
    assert run.status is RunStatus.OVER_BUDGET
    assert run.cost_usd == 0
    assert "0.0002 USD" in (run.error or "")


async def test_an_agent_without_a_price_costs_the_unknown() -> None:
    async with Mesh([Historian()]) as mesh:
        free = await mesh.run("q")
        limited = await mesh.run("q", limits=Limits(cost_usd=1))
    assert free.cost_usd is None
    assert limited.status is RunStatus.OVER_BUDGET
    assert "has no price" in (limited.error or "")


@pytest.mark.parametrize(
    ("text", "said"), [("", "the task is ''"), (" \n", "give it some text"), ("x" * (2**20 + 1), "at most 1048576")]
)
async def test_a_task_that_cannot_be_used_is_refused_before_anything_happens(text: str, said: str) -> None:
    async with Mesh([EchoAgent("echo")]) as mesh:
        with pytest.raises(ConfigError, match=said):
            await mesh.run(text)
        assert mesh.store.runs() == []


async def test_a_lone_surrogate_is_no_text() -> None:
    async with Mesh([EchoAgent("echo")]) as mesh:
        with pytest.raises(ConfigError, match="no Unicode"):
            await mesh.run("a\ud800b")


@pytest.mark.parametrize(
    "text", ["x" * 1_000_000, "\x00\x1b[31m\x07 control", "مرحبا 你好 👩‍🚀", "\u202e right to left"]
)
async def test_long_and_strange_text_comes_through_unchanged(text: str, tmp_path: Path) -> None:
    async with Mesh([EchoAgent("echo")], store=f"sqlite:///{tmp_path / 'mesh.db'}") as mesh:
        run = await mesh.run(text)
        assert mesh.store.run(run.id).answer == run.answer == text


async def test_a_mesh_without_agents_says_so_and_records_it() -> None:
    async with Mesh([]) as mesh:
        with pytest.raises(NoCandidateError):
            await mesh.run("q")
        (line,) = mesh.store.runs()
        assert line.status is RunStatus.FAILED


async def test_a_run_that_fails_to_decide_names_a_registry_that_is_stored() -> None:
    async with Mesh([mathematician]) as mesh:
        with pytest.raises(NoCandidateError):
            await mesh.run(Task(text="q", required_skills=frozenset({"cooking"})), run_id="r1")
        started = mesh.store.events("r1")[0]
        assert isinstance(started, RunStarted)
        assert [card.id for card in mesh.store.registry(started.registry_version).cards] == ["mathematician"]


async def test_a_skill_that_nobody_has_is_no_candidate() -> None:
    async with Mesh([mathematician, Historian()]) as mesh:
        with pytest.raises(NoCandidateError):
            await mesh.run(Task(text="q", required_skills=frozenset({"cooking"})))


async def test_a_gate_is_never_out_scored() -> None:
    async with Mesh([mathematician, Historian()], explore=0) as mesh:
        question = Task(text=Historian.description, required_skills=frozenset({"math"}))
        assert (await mesh.run(question)).answered_by == ("mathematician",)


def test_two_agents_of_one_id_are_refused() -> None:
    with pytest.raises(RegistrationError, match="'echo'"):
        Mesh([EchoAgent("echo"), EchoAgent("echo")])


async def test_agents_come_and_go_while_the_mesh_is_open() -> None:
    async with Mesh([Historian()], explore=0) as mesh:
        mesh.register(mathematician)
        assert (await mesh.run("algebra word problem")).answered_by == ("mathematician",)
        mesh.remove("mathematician")
        assert (await mesh.run("algebra word problem")).answered_by == ("historian",)


async def test_preferences_stand_above_what_is_learned() -> None:
    rules = [Preference(action="forbid", agents=("mathematician",), pattern="secret")]
    async with Mesh([mathematician, Historian()], preferences=rules, explore=0) as mesh:
        assert (await mesh.run("a secret algebra problem")).answered_by == ("historian",)


async def test_a_preferred_agent_wins_a_close_race() -> None:
    rules = [Preference(action="prefer", agents=("b",))]
    async with Mesh([CannedAgent(["1"], id="a"), CannedAgent(["2"], id="b")], preferences=rules, explore=0) as mesh:
        assert (await mesh.run("q")).answered_by == ("b",)


async def test_a_stream_yields_the_whole_trace_and_the_pieces_of_the_answer() -> None:
    async with Mesh([StreamingAgent(["Al ", "Khazneh"], id="guide")]) as mesh:
        events = [event async for event in mesh.stream("Who built Petra?", run_id="r1")]
        assert [event for event in events if not isinstance(event, AnswerChunk)] == mesh.store.events("r1")
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert [event.text for event in events if isinstance(event, AnswerChunk)] == ["Al ", "Khazneh"]


async def _stream_until_called(mesh: Mesh) -> AsyncGenerator[Event, None]:
    """Begin the run r1 and stop reading once its agent is being called."""
    events = mesh.stream("q", run_id="r1")
    async for event in events:
        if event.kind == "call_started":
            break
    return events


async def test_a_stream_left_early_cancels_its_run(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    async with Mesh([HangingAgent("stuck")], store=url) as mesh:
        events = await _stream_until_called(mesh)
        await events.aclose()
    with open_store(url, read_only=True) as store:
        assert store.run("r1").status is RunStatus.CANCELLED


async def test_a_stream_raises_what_run_would_raise() -> None:
    async with Mesh([]) as mesh:
        with pytest.raises(NoCandidateError):
            _ = [event async for event in mesh.stream("q")]


async def test_what_the_caller_raises_comes_out_as_it_is() -> None:
    mesh = Mesh([EchoAgent("echo")], verifiers=[Gold()])

    async def work() -> None:
        async with mesh:
            await mesh.run("q")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await work()
    assert [experience.agent_id for experience in mesh.store.experiences()] == ["echo"]


async def test_an_interrupted_mesh_waits_for_no_judge() -> None:
    class Endless:
        name = "endless"

        async def judge(self, task: Task, answer: str) -> float | None:
            await asyncio.Event().wait()
            raise AssertionError

    async def work() -> None:
        async with Mesh([EchoAgent("echo")], judge=Endless()) as mesh:
            await mesh.run("q")
            running.set()
            await asyncio.Event().wait()

    running = asyncio.Event()
    task = asyncio.create_task(work())
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_mesh_closes_although_a_stream_was_left_open(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    async with Mesh([HangingAgent("stuck")], store=url) as mesh:
        events = await _stream_until_called(mesh)
    await events.aclose()
    with open_store(url, read_only=True) as store:
        assert store.run("r1").status is RunStatus.CANCELLED


async def test_a_run_id_is_used_once() -> None:
    async with Mesh([EchoAgent("echo")]) as mesh:
        await mesh.run("q", run_id="mine")
        with pytest.raises(StoreError, match="mine"):
            await mesh.run("q", run_id="mine")


async def test_the_same_seed_and_run_id_draw_the_same_agents() -> None:
    async def chosen(seed: int) -> list[tuple[str, ...]]:
        team = [EchoAgent(name) for name in "abcdefgh"]
        async with Mesh(team, explore=1.0, seed=seed) as mesh:
            return [(await mesh.run("q", run_id=f"r{place}")).answered_by for place in range(12)]

    first = await chosen(1)
    assert first == await chosen(1)
    assert first != await chosen(2)
    assert len(set(first)) > 1


def test_run_sync_opens_and_closes_by_itself() -> None:
    mesh = Mesh([EchoAgent("echo")])
    run = mesh.run_sync("hello")
    assert run.answer == "hello"
    assert mesh.store.run(run.id) == run


async def test_run_sync_works_inside_a_running_loop() -> None:
    assert Mesh([EchoAgent("echo")]).run_sync("hello").answer == "hello"


async def test_run_sync_on_an_open_mesh_names_the_other_way() -> None:
    async with Mesh([EchoAgent("echo")]) as mesh:
        with pytest.raises(ConfigError, match=r"await mesh\.run"):
            mesh.run_sync("hello")


async def test_a_closed_mesh_says_how_to_open_it() -> None:
    with pytest.raises(ConfigError, match="async with"):
        await Mesh([EchoAgent("echo")]).run("hello")


async def test_a_mesh_is_opened_once() -> None:
    async with Mesh([EchoAgent("echo")]) as mesh:
        with pytest.raises(ConfigError, match="open already"):
            await mesh.__aenter__()


async def test_a_mesh_can_be_opened_again(tmp_path: Path) -> None:
    mesh = Mesh([EchoAgent("echo")], store=f"sqlite:///{tmp_path / 'mesh.db'}")
    for text in ("one", "two"):
        async with mesh:
            await mesh.run(text)
    async with mesh:
        assert [line.text for line in mesh.store.runs()] == ["two", "one"]
    with pytest.raises(ConfigError, match="is closed"):
        _ = mesh.store


async def test_feedback_on_an_unknown_run_names_it() -> None:
    async with Mesh([EchoAgent("echo")]) as mesh:
        with pytest.raises(RunNotFoundError, match="nowhere"):
            await mesh.feedback("nowhere", 1.0)


@pytest.mark.parametrize("score", [1.5, -0.1, float("nan")])
async def test_a_score_outside_its_range_is_refused(score: float) -> None:
    async with Mesh([EchoAgent("echo")]) as mesh:
        run = await mesh.run("q")
        with pytest.raises(ConfigError, match="from 0 to 1"):
            await mesh.feedback(run.id, score)


async def test_feedback_for_an_agent_that_was_not_called_is_refused() -> None:
    async with Mesh([mathematician, Historian()]) as mesh:
        run = await mesh.run("algebra word problem")
        with pytest.raises(ConfigError, match="'nobody' was not called"):
            await mesh.feedback(run.id, 1.0, agent="nobody")


async def test_a_run_without_an_answer_can_be_scored_only_by_agent() -> None:
    async with Mesh([FailingAgent("broken")]) as mesh:
        run = await mesh.run("q")
        with pytest.raises(ConfigError, match="has no answer to score"):
            await mesh.feedback(run.id, 0.0)
        await mesh.feedback(run.id, 0.0, agent="broken")
        assert [experience.quality for experience in mesh.store.experiences()] == [0.0]


class Gold:
    """A verifier that knows one answer."""

    name = "gold"

    def verify(self, task: Task, answer: str) -> float | None:
        return float(answer == "84") if task.text == "q" else None


class Harsh:
    """A judge that likes nothing."""

    name = "harsh"

    async def judge(self, task: Task, answer: str) -> float | None:
        return 0.0


async def _learned(mesh: Mesh, *texts: str) -> list[tuple[str, float, str]]:
    async with mesh:
        for text in texts:
            await mesh.run(text, limits=TEAM)
    return [(one.agent_id, one.quality, one.source) for one in mesh.store.experiences()]


async def test_verifiers_score_every_answer_and_the_router_learns() -> None:
    learned = await _learned(Mesh([mathematician, Historian()], verifiers=[Gold()]), "q")
    assert sorted(learned) == [("historian", 0.0, "verifier:gold"), ("mathematician", 1.0, "verifier:gold")]


async def test_the_judge_scores_what_no_verifier_can() -> None:
    learned = await _learned(Mesh([mathematician], verifiers=[Gold()], judge=Harsh()), "q", "another")
    assert sorted(learned) == [("mathematician", 0.0, "judge:harsh"), ("mathematician", 1.0, "verifier:gold")]


class Broken:
    """A verifier with a bug."""

    name = "broken"

    def verify(self, task: Task, answer: str) -> float | None:
        raise ZeroDivisionError


async def test_a_broken_verifier_costs_no_run(caplog: pytest.LogCaptureFixture) -> None:
    assert await _learned(Mesh([mathematician], verifiers=[Broken()]), "q", "r") == []
    assert "could not score the answer" in caplog.text


async def test_a_hundred_runs_at_once_keep_to_themselves(tmp_path: Path) -> None:
    async with Mesh([EchoAgent("echo")], store=f"sqlite:///{tmp_path / 'mesh.db'}") as mesh:
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[Run]] = [group.create_task(mesh.run(f"task {place}")) for place in range(100)]
        assert all(mesh.store.run(task.result().id) == task.result() for task in tasks)
    assert [task.result().answer for task in tasks] == [f"task {place}" for place in range(100)]


async def test_an_agent_is_called_at_most_as_often_at_once_as_it_allows() -> None:
    busy = 0
    most = 0
    is_full = asyncio.Event()

    class Narrow(Agent):
        description = "Takes two at a time."
        max_concurrency = 2

        async def run(self, task: Task) -> Answer:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            if busy == self.max_concurrency:
                is_full.set()
            await is_full.wait()
            await asyncio.sleep(0.005)
            busy -= 1
            return Answer(text="done")

    async with Mesh([Narrow()]) as mesh:
        await asyncio.gather(*(mesh.run("q") for _ in range(8)))
    assert most == 2


@pytest.mark.parametrize("explore", [-0.1, 1.1])
def test_explore_is_a_probability(explore: float) -> None:
    with pytest.raises(ConfigError, match="from 0 to 1"):
        Mesh([], explore=explore)
