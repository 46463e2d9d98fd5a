"""A stored run that goes on otherwise: what is taken over, what may be changed where, and what it costs and teaches."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from agentmesh import (
    Agent,
    Approval,
    Learning,
    Limits,
    Mesh,
    Preference,
    RunStatus,
    Secrets,
    Stage,
    Task,
    Team,
    Workflow,
    open_store,
    replay,
)
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, DuplicateEventError, NoCandidateError, RunNotFoundError
from agentmesh.events import ApprovalGiven, CallFinished, CallStarted, DecisionMade, Event, FeedbackGiven, RunStarted
from agentmesh.judging.checks import CallableCheck
from agentmesh.judging.verifiers import CallableVerifier
from agentmesh.learning.picks import picks_of
from agentmesh.playback.logged import NOT_DRAWN, read_log
from agentmesh.records import AgentCall
from agentmesh.routing.similarity import CosineRouter
from agentmesh.store.base import TraceStore
from agentmesh.testing import CannedAgent, EchoAgent

EMBEDDER = HashingEmbedder()
QUESTION = "who built petra"
WAVES = Team(first=1, stop=0.999)


def mesh_of(
    replies: Mapping[str, Sequence[str | Exception]] | None = None, *, store: TraceStore | None = None, **options: Any
) -> Mesh:
    given = replies or {"a": ["1"], "b": ["2"], "c": ["3"]}
    team = [CannedAgent(said, agent_id, price_per_call_usd="0.01") for agent_id, said in given.items()]
    known: dict[str, Any] = {"router": "cosine", "embedder": EMBEDDER, "explore": 0}
    return Mesh(team, store=store, **{**known, "learning": Learning(mode="off"), **options})


def agent(mesh: Mesh, agent_id: str) -> CannedAgent:
    found = mesh.registry.get(agent_id)
    assert isinstance(found, CannedAgent)
    return found


def place_of(mesh: Mesh, run_id: str, kind: type[Event], *, last: bool = False) -> int:  # type: ignore[valid-type]
    """Return the number of the first event of a kind, or of the last."""
    found = [event.seq for event in mesh.store.events(run_id) if isinstance(event, kind)]  # type: ignore[arg-type]
    return found[-1 if last else 0]


def told(event: Event) -> dict[str, Any]:
    """Return an event without what a fork gives it anew."""
    return event.model_dump(exclude={"run_id", "at", "forked", "forked_at", "changed", "limits"})


async def test_a_fork_takes_its_prefix_over_calls_only_who_is_left_and_replays() -> None:
    heard: list[Event] = []
    async with mesh_of(team=WAVES, listeners=[heard.append]) as mesh:
        parent = await mesh.run(QUESTION, run_id="r", limits=Limits(max_agents=3))
        before, called = mesh.store.events("r"), [one.agent_id for one in parent.calls]
        assert len(called) == 3
        heard.clear()
        at = place_of(mesh, "r", CallFinished) + 1
        fork = await mesh.fork("r", at=at, limits=Limits(max_calls=5), new_id="f")
        events = mesh.store.events("f")
        assert heard == events
        assert [told(event) for event in events[:at]] == [told(event) for event in before[:at]]
        assert [event.seq for event in events] == list(range(len(events)))
        assert (fork.forked, fork.forked_at, fork.changed) == ("r", at, ("limits.max_calls=5",))
        assert (fork.taken_over, [one.agent_id for one in fork.calls]) == (1, called)
        assert [agent(mesh, agent_id).calls for agent_id in called] == [1, 2, 2]
        assert (fork.answer, fork.cost_usd, parent.cost_usd) == (parent.answer, Decimal("0.02"), Decimal("0.03"))
        assert mesh.store.events("r") == before
        assert fork == mesh.store.run("f")
        assert (await replay(mesh.store, "f")).differences == ()


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_limits_and_cost_count_what_the_fork_itself_uses(kind: str, tmp_path: Any) -> None:
    with open_store(None if kind == "memory" else f"sqlite:///{tmp_path}/mesh.db") as store:
        async with mesh_of(team=WAVES, store=store) as mesh:
            await mesh.run(QUESTION, run_id="r", limits=Limits(max_agents=3))
            at = place_of(mesh, "r", CallFinished) + 1
            fork = await mesh.fork("r", at=at, limits=Limits(cost_usd="0.01", max_calls=9), new_id="f")
            assert [one.status.value for one in fork.calls] == ["ok", "ok", "refused"]
            assert fork.cost_usd == Decimal("0.01")
            last = await mesh.fork("f", at=place_of(mesh, "f", CallFinished, last=True) + 1, new_id="g")
            assert (last.cost_usd, last.taken_over, last.forked) == (Decimal(0), 3, "f")
            costs = {line.id: line.cost_usd for line in store.runs()}
            assert costs == {"r": Decimal("0.03"), "f": Decimal("0.01"), "g": Decimal(0)}
            for run_id in costs:
                assert (await replay(store, run_id)).differences == (), run_id


async def test_agents_named_by_hand_act_and_count_as_no_draw() -> None:
    async with mesh_of(explore=0.5, learning=Learning(mode="loop")) as mesh:
        await mesh.run(QUESTION, run_id="r")
        for at in (0, 1, 2):
            fork = await mesh.fork("r", at=at, agents=["c", "b"], new_id=f"f{at}")
            assert fork.decision is not None
            assert fork.decision.router == "by_hand"
            assert ([one.agent_id for one in fork.calls], fork.changed) == (["c", "b"], ("agents=c,b",))
            assert "a person named the agents" in fork.decision.explain()
            assert (await replay(mesh.store, fork.id)).differences == ()
        await mesh.feedback("f2", 1.0, agent="b")
        assert [(one.agent_id, one.propensity) for one in mesh.store.experiences()] == [("b", None)]
        assert read_log(mesh.store).left_out == {NOT_DRAWN: 3}
        assert picks_of(mesh.store).decisions == 1
        with pytest.raises(ConfigError, match=r"agent 'x' is not registered; registered are 'a', 'b', 'c'"):
            await mesh.fork("r", at=0, agents=["x"])
        assert mesh.store.count_runs() == 4


async def test_an_agent_that_a_gate_refuses_cannot_be_named_nor_one_that_came_later() -> None:
    async with mesh_of(preferences=[Preference(action="forbid", agents=("c",))]) as mesh:
        await mesh.run(QUESTION, run_id="r")
        mesh.register(EchoAgent("late"))
        with pytest.raises(NoCandidateError, match="agent 'c' was named by hand, and the gate 'preference:forbid'"):
            await mesh.fork("r", at=1, agents=["c"])
        with pytest.raises(
            NoCandidateError, match="'late' was named by hand and is not registered; registered are 'a'"
        ):
            await mesh.fork("r", at=2, agents=["late"])
        assert (await mesh.fork("r", at=1, agents=["late"])).answer == QUESTION


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_another_router_learns_what_is_stored_and_decides_anew(at: int) -> None:
    async with mesh_of(learning=Learning(mode="loop")) as mesh:
        for run_id, by_hand in (("a", "a"), ("b", "b")):
            await mesh.run(QUESTION, run_id=f"r{run_id}")
            await mesh.fork(f"r{run_id}", at=0, agents=[by_hand], new_id=run_id)
            await mesh.feedback(run_id, float(by_hand == "b"))
        fork = await mesh.fork("ra", at=at, router="kernel", new_id="f")
        assert fork.decision is not None
        assert (fork.decision.router, fork.answered_by, fork.changed) == ("kernel", ("b",), ("router=kernel",))
        assert fork.decision.router_version.endswith("@2")
        assert (await replay(mesh.store, "f")).differences == ()
        own = await mesh.fork("ra", at=at, router=CosineRouter(), new_id="g")
        assert own.decision is not None
        assert own.decision.router == "cosine"


async def test_another_text_is_another_task_and_needs_a_fork_at_the_beginning() -> None:
    async with mesh_of() as mesh:
        mesh.register(EchoAgent("echo"))
        await mesh.run(Task(text=QUESTION, type_hints=("history",)), run_id="r")
        fork = await mesh.fork("r", at=0, text="who was cleopatra", agents=["echo"])
        assert (fork.answer, fork.task.type_hints) == ("who was cleopatra", ("history",))
        assert fork.changed == ("text", "agents=echo")
        with pytest.raises(ConfigError, match="it can be set in a fork at 0, not at 1"):
            await mesh.fork("r", at=1, text="other")
        with pytest.raises(ConfigError, match="give it some text"):
            await mesh.fork("r", at=0, text=" ")


async def test_an_answer_may_be_another_and_what_follows_rests_on_it() -> None:
    async with mesh_of({"a": ["1"], "b": ["2"], "c": ["1"]}, team=WAVES) as mesh:
        await mesh.run(QUESTION, run_id="r", limits=Limits(max_agents=3))
        at = place_of(mesh, "r", CallFinished) + 1
        first = mesh.store.run("r").calls[0].agent_id
        fork = await mesh.fork("r", at=at, answers={first: "2"}, new_id="f")
        call = fork.calls[0]
        assert call.answer is not None
        assert (call.answer.text, call.cost_usd, fork.changed) == ("2", Decimal("0.01"), (f"answer:{first}",))
        assert (await replay(mesh.store, "f")).differences == ()
        last = place_of(mesh, "r", CallFinished, last=True) + 1
        with pytest.raises(ConfigError, match=f"from event {at} on rests on the answer of '{first}'; fork at {at} to"):
            await mesh.fork("r", at=last, answers={first: "2"})
        with pytest.raises(ConfigError, match=r"no answer of 'x' stands before .*called by then were: '"):
            await mesh.fork("r", at=at, answers={"x": "2"})
        with pytest.raises(ConfigError, match=r"no answer of 'a' stands .*called by then were: nobody"):
            await mesh.fork("r", at=1, answers={"a": "2"})
        with pytest.raises(ConfigError, match="no Unicode text"):
            await mesh.fork("r", at=at, answers={first: "\ud800"})


async def test_a_failed_call_may_be_taken_for_an_answer_which_is_checked_anew() -> None:
    asked: list[str] = []

    def too_long(task: Task, answer: str) -> str | None:
        asked.append(answer)
        return None if len(answer) < 3 else "too long"

    checks = [CallableCheck(too_long, name="short")]
    async with mesh_of({"a": ["long"], "b": [ValueError("no")]}, checks=checks) as mesh:
        await mesh.run(QUESTION, run_id="r", limits=Limits(max_agents=2))
        assert mesh.store.run("r").status is RunStatus.FAILED
        events = mesh.store.events("r")
        at = next(event.seq for event in events if event.kind == "answer_refined")
        fork = await mesh.fork("r", at=at, answers={"a": "ok", "b": "so"}, new_id="f")
        assert asked == ["long", "ok", "so"]
        assert (fork.status, fork.forked_at) == (RunStatus.COMPLETED, at - 1)
        assert [one.error for one in fork.calls] == [None, None]
        assert (await replay(mesh.store, "f")).differences == ()


async def test_what_was_decided_and_asked_stands() -> None:
    replies: dict[str, Sequence[str | Exception]] = {"a": [ValueError("no")], "b": [ValueError("no")], "c": ["3"]}
    async with mesh_of(replies) as mesh:
        await mesh.run(QUESTION, run_id="r", limits=Limits(fallbacks=2))
        decided = place_of(mesh, "r", DecisionMade)
        end = len(mesh.store.events("r")) - 1
        for changed, named in (
            ({"agents": ["a"]}, "agents"),
            ({"router": "cheapest"}, "router"),
            ({"limits": Limits(max_agents=2)}, r"limits\.max_agents"),
        ):
            with pytest.raises(
                ConfigError, match=f"event {decided} of run 'r'; fork at {decided} or before to .*{named}"
            ):
                await mesh.fork("r", at=decided + 1, **changed)
        with pytest.raises(ConfigError, match=r"limits.fallbacks is 0 and was 2 when wave 2 was asked; fork at \d+ or"):
            await mesh.fork("r", at=end, limits=Limits(fallbacks=0))
        with pytest.raises(ConfigError, match="only one of them can say who acts"):
            await mesh.fork("r", at=0, agents=["a"], router="cheapest")
        with pytest.raises(ConfigError, match="name each once"):
            await mesh.fork("r", at=0, agents=["a", "a"])
        fork = await mesh.fork("r", at=decided + 1, limits=Limits(fallbacks=0, max_agents=1), new_id="f")
        assert fork.status is RunStatus.FAILED
        assert (await replay(mesh.store, "f")).differences == ()


async def test_a_retry_that_the_fork_allows_is_made() -> None:
    async with mesh_of({"a": [ConnectionError("gone"), "back"]}) as mesh:
        await mesh.run(QUESTION, run_id="r")
        end = len(mesh.store.events("r")) - 1
        fork = await mesh.fork("r", at=end, limits=Limits(retries=1), new_id="f")
        assert (fork.answer, [one.attempt for one in fork.calls], fork.taken_over) == ("back", [1, 2], 1)
        assert (await replay(mesh.store, "f")).differences == ()


@pytest.mark.parametrize(("at", "why"), [(-1, "0 to"), (99, "ended with event")])
async def test_an_event_that_is_not_there_is_refused(at: int, why: str) -> None:
    async with mesh_of() as mesh:
        await mesh.run(QUESTION, run_id="r")
        with pytest.raises(ConfigError, match=rf"cannot be forked at {at}; accepted are 0 to \d+") as caught:
            await mesh.fork("r", at=at)
        assert why in str(caught.value)
        with pytest.raises(RunNotFoundError, match="ghost"):
            await mesh.fork("ghost", at=0)
        with pytest.raises(DuplicateEventError):
            await mesh.fork("r", at=3, new_id="r")
        assert (await mesh.run("again", run_id="s")).status is RunStatus.COMPLETED


async def test_the_middle_of_a_wave_is_refused_and_its_ends_are_named() -> None:
    async with mesh_of() as mesh:
        await mesh.run(QUESTION, run_id="r", limits=Limits(max_agents=3))
        first = place_of(mesh, "r", CallStarted)
        for at in range(first + 1, first + 6):
            with pytest.raises(
                ConfigError, match=f"within wave 1, .*fork at {first}, before it, or at {first + 6}, after"
            ):
                await mesh.fork("r", at=at)
        for at in (first, first + 6):
            assert (await mesh.fork("r", at=at)).status is RunStatus.COMPLETED


async def test_forks_of_one_run_at_once_and_of_a_fork_keep_apart() -> None:
    async with mesh_of(team=WAVES) as mesh:
        await mesh.run(QUESTION, run_id="r", limits=Limits(max_agents=3))
        at = place_of(mesh, "r", CallFinished) + 1
        both = await asyncio.gather(*(mesh.fork("r", at=at) for _ in range(5)))
        assert len({run.id for run in both}) == 5
        assert {run.answer for run in both} == {mesh.store.run("r").answer}
        again = await mesh.fork(both[0].id, at=at, new_id="again")
        assert (again.forked, again.taken_over) == (both[0].id, 1)
        assert mesh.store.check() == []


async def test_a_running_and_a_cancelled_run_are_forked_with_what_they_have_so_far() -> None:
    gate, entered = asyncio.Event(), asyncio.Event()

    class Slow(Agent):
        description = "Waits for the gate the first time."

        async def run(self, task: Task) -> str:
            entered.set()
            await gate.wait()
            return "slow"

    async with mesh_of({"a": ["1"]}, team=WAVES) as mesh:
        mesh.register(Slow())
        running = asyncio.create_task(mesh.run(QUESTION, run_id="r", limits=Limits(max_agents=2)))
        await entered.wait()
        so_far = len(mesh.store.events("r"))
        forking = asyncio.create_task(mesh.fork("r", at=so_far, new_id="f"))
        with pytest.raises(ConfigError, match=rf"has \d+ events so far, .*accepted are 0 to {so_far}"):
            await mesh.fork("r", at=so_far + 9)
        gate.set()
        fork, parent = await forking, await running
        assert (fork.taken_over, sorted(one.agent_id for one in fork.calls)) == (1, ["a", "slow"])
        assert (fork.answer, parent.status) == (parent.answer, RunStatus.COMPLETED)
        assert agent(mesh, "a").calls == 1
        assert (await replay(mesh.store, "f")).differences == ()
        stuck = asyncio.create_task(mesh.fork("r", at=0, new_id="c"))
        gate.clear()
        entered.clear()
        await entered.wait()
        assert mesh.cancel("c")
        cancelled = await stuck
        gate.set()
        assert cancelled.status is RunStatus.CANCELLED
        end = len(mesh.store.events("c")) - 1
        assert (await mesh.fork("c", at=end, new_id="on")).status is RunStatus.COMPLETED


async def test_a_waiting_run_is_forked_as_it_waits_and_each_is_answered_by_itself() -> None:
    rules = [Approval(agents={"a"}, expires_s=3600)]
    async with mesh_of({"a": ["1"], "b": ["2"]}, approvals=rules, team=Team(first=2, stop=0.999)) as mesh:
        await mesh.run(QUESTION, run_id="r", limits=Limits(max_agents=2))
        fork = await mesh.fork("r", at=len(mesh.store.events("r")), new_id="f")
        assert fork.status is RunStatus.WAITING
        assert fork.waiting_for == mesh.store.run("r").waiting_for
        assert [line.cost_usd for line in mesh.store.runs() if line.id == "f"] == [Decimal(0)] == [fork.cost_usd]
        assert (await mesh.reject("r")).answer == "2"
        fork = await mesh.approve("f")
        assert (fork.status, fork.cost_usd) == (RunStatus.COMPLETED, Decimal("0.01"))
        said = place_of(mesh, "f", ApprovalGiven)
        with pytest.raises(ConfigError, match=f"event {said + 1} of run 'f' lies within wave 1"):
            await mesh.fork("f", at=said + 1)
        assert agent(mesh, "b").calls == 1
        for run_id in ("r", "f"):
            assert (await replay(mesh.store, run_id)).differences == ()


async def test_an_answer_that_was_given_once_teaches_once() -> None:
    scored: list[str] = []

    def worth(task: Task, answer: str) -> float:
        scored.append(answer)
        return 1.0

    verifiers = [CallableVerifier(worth, name="all")]
    async with mesh_of(team=WAVES, verifiers=verifiers, learning=Learning(mode="loop")) as mesh:
        await mesh.run(QUESTION, run_id="r", limits=Limits(max_agents=3))
        at = place_of(mesh, "r", CallFinished) + 1
        first, *others = [one.agent_id for one in mesh.store.run("r").calls]
        await mesh.fork("r", at=at, answers={first: "made up"}, new_id="f")
    assert sorted(scored) == sorted(["1", "2", "3", *(text for text in ("1", "2", "3") if text != scored[0])])
    async with mesh_of(team=WAVES, store=mesh.store, learning=Learning(mode="loop")) as mesh:
        for agent_id in (first, *others):
            await mesh.feedback("f", 0.5, agent=agent_id, source="user:two")
        taught = [(one.run_id, one.agent_id) for one in mesh.store.experiences() if one.source == "user:two"]
        assert taught == []  # the verifier, a better source, has scored those that the fork asked
        kinds = [event for event in mesh.store.events("f") if isinstance(event, FeedbackGiven)]
        assert len(kinds) == 5
    learned = {(one.run_id, one.agent_id): one.propensity for one in mesh.store.experiences()}
    assert set(learned) == {("r", first), *((run_id, other) for run_id in ("r", "f") for other in others)}
    assert all((chance is None) == (run_id == "f") for (run_id, _), chance in learned.items())


async def test_the_run_of_a_stage_is_forked_with_what_the_stage_uses_and_the_whole_is_not() -> None:
    draft = Stage(name="draft", agents=("a", "b"))
    check = Stage(name="check", after=("draft",), agents=("c",), team=Team(stop=0.5))
    flow = Workflow(stages=(draft, check), output="check")
    async with mesh_of() as mesh:
        whole = await mesh.run_workflow(flow, QUESTION, run_id="w")
        parts = [stage.run_id for stage in whole.stages]
        with pytest.raises(
            ConfigError, match=f"'w' is of a workflow; fork the run of one of its stages: '{parts[0]}', "
        ):
            await mesh.fork("w", at=0)
        for run_id in parts:
            assert run_id is not None
            started = mesh.store.events(run_id)[0]
            for at in (0, 2, len(mesh.store.events(run_id)) - 1):
                fork = await mesh.fork(run_id, at=at)
                assert (fork.parent, fork.answer) == (None, mesh.store.run(run_id).answer)
                begun = mesh.store.events(fork.id)[0]
                assert isinstance(begun, RunStarted)
                assert isinstance(started, RunStarted)
                assert (begun.stage, begun.layer, begun.previous) == ("", started.layer, started.previous)
                assert begun.team == started.team
                assert (await replay(mesh.store, fork.id)).differences == ()


async def test_the_run_of_a_stage_of_a_workflow_that_no_store_keeps_whole_is_refused() -> None:
    stage = Stage(name="draft", when=lambda answers: True)
    async with mesh_of() as mesh:
        whole = await mesh.run_workflow(Workflow(stages=(stage,), output="draft"), QUESTION)
        assert whole.stages[0].run_id is not None
        with pytest.raises(ConfigError, match="draft"):
            await mesh.fork(whole.stages[0].run_id, at=0)


async def test_a_fork_that_an_agent_begins_is_part_of_its_run() -> None:
    async with mesh_of({"a": ["1"]}) as mesh:
        await mesh.run(QUESTION, run_id="r")

        class Forking(Agent):
            description = "who built petra"
            price_per_call_usd = 0

            async def run(self, task: Task) -> str:
                fork = await mesh.fork("r", at=3)
                return f"{fork.parent}: {fork.answer}"

        mesh.register(Forking())
        run = await mesh.fork("r", at=0, agents=["forking"], new_id="outer")
        assert (run.answer, run.cost_usd) == ("outer: 1", Decimal("0.01"))


async def test_secrets_in_what_is_changed_stay_out_of_the_store() -> None:
    async with mesh_of({"a": ["1"]}, secrets=Secrets()) as mesh:
        await mesh.run(QUESTION, run_id="r")
        end = len(mesh.store.events("r")) - 1
        fork = await mesh.fork("r", at=0, text="write to ann@example.org", new_id="f")
        other = await mesh.fork("r", at=end - 1, answers={"a": "ask ann@example.org"}, new_id="g")
        assert fork.task.text == "write to ann@example.org"
        assert other.answer == "ask ann@example.org"
        stored = repr([mesh.store.events(run_id) for run_id in ("f", "g")])
        assert "ann@example.org" not in stored
        assert isinstance(other.calls[0], AgentCall)
