"""A mesh that takes a task through the stages of a workflow."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from agentmesh import (
    Agent,
    Answer,
    Approval,
    Condition,
    Learning,
    Limits,
    Mesh,
    Over,
    Run,
    RunStatus,
    Secrets,
    Stage,
    Task,
    Team,
    VoteRefiner,
    Workflow,
    open_store,
    replay,
)
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, LlmError, ReplayError, ReplayMissError
from agentmesh.events import AnswerRefined, Event, RunFinished, RunStarted, StageFinished, StageStarted
from agentmesh.graphs.replies import Said, record_answer, resumable
from agentmesh.records import StageRun
from agentmesh.store import TraceStore
from agentmesh.store.base import RunFilter
from agentmesh.testing.agents import HangingAgent
from agentmesh.types import VectorArray

Reply = Callable[[Task], str]


class Says(Agent):
    """Answers by a function of the task, for a tenth of a cent, and remembers what it was asked."""

    def __init__(self, name: str, reply: Reply | str) -> None:
        self.id, self.description, self.price_per_call_usd = name, f"Does what {name} does.", "0.001"
        self._reply = reply
        self.tasks: list[Task] = []

    async def run(self, task: Task) -> Answer:
        self.tasks.append(task)
        return Answer(text=self._reply if isinstance(self._reply, str) else self._reply(task))


def raising(error: Exception) -> Reply:
    def reply(task: Task) -> str:
        raise error

    return reply


def in_turn(*replies: str) -> Reply:
    left = list(replies)
    return lambda task: left.pop(0) if len(left) > 1 else left[0]


def stage(name: str, *after: str, prompt: str = "{task}", by: str | None = None, **options: object) -> Stage:
    agents = (by or name,) if by != "all" else None
    return Stage.model_validate({"name": name, "after": after, "prompt": prompt, "agents": agents, **options})


def flow(*stages: Stage, output: str | None = None) -> Workflow:
    return Workflow(stages=stages, output=output or stages[-1].name)


async def went(
    workflow: Workflow, agents: list[Says], task: str | Task = "cats", **options: object
) -> tuple[Run, dict[tuple[str, int], Event]]:
    """Run a workflow and return its run, with how its stages ended."""
    limits = options.pop("limits", None)
    async with Mesh(agents, router="random", embedder="hashing", explore=0, **options) as mesh:  # type: ignore[arg-type]  # as given
        run = await mesh.run_workflow(workflow, task, limits=limits)  # type: ignore[arg-type]  # as given
        ended = [event for event in mesh.store.events(run.id) if isinstance(event, StageFinished)]
        for event in ended:
            if event.result.run_id is not None:
                child = mesh.store.run(event.result.run_id)
                assert (child.parent, child.cost_usd) == (run.id, event.cost_usd)
        assert (await replay(mesh.store, run.id, workflow=workflow)).differences == ()
    return run, {(event.result.stage, event.result.part): event.result for event in ended}  # type: ignore[misc]


def reasons(ended: Mapping[tuple[str, int], object]) -> dict[str, str]:
    return {name: result.reason for (name, _), result in ended.items()}  # type: ignore[attr-defined]


async def test_stages_hand_on_their_answers_and_each_is_a_run_of_its_own() -> None:
    ann, bob, cay = Says("ann", "facts"), Says("bob", "draft {task}"), Says("cay", "done")
    run, ended = await went(
        flow(
            stage("ann"),
            stage("bob", "ann", prompt="Write on {task}: {ann}"),
            stage("cay", "bob", prompt="{bob}", type_hints=("end",)),
        ),
        [ann, bob, cay],
    )
    assert (run.status, run.answer, run.answered_by) == (RunStatus.COMPLETED, "done", ("cay",))
    assert run.cost_usd == Decimal("0.003")
    assert [one.text for one in (*bob.tasks, *cay.tasks)] == ["Write on cats: facts", "draft {task}"]
    assert [(one.stage, one.answer) for one in run.stages] == [
        ("ann", "facts"),
        ("bob", "draft {task}"),
        ("cay", "done"),
    ]
    assert all(result.run_id == f"{run.id}/{name}" for (name, _), result in ended.items())  # type: ignore[attr-defined]


async def test_stages_without_an_order_between_them_run_at_once_and_the_next_waits_for_all() -> None:
    both = asyncio.Barrier(2)

    class Meets(Says):
        async def run(self, task: Task) -> Answer:
            await both.wait()
            return await super().run(task)

    end = Says("end", "met")
    run, _ = await went(
        flow(stage("one"), stage("two"), stage("end", "one", "two", prompt="{one}{two}")),
        [Meets("one", "1"), Meets("two", "2"), end],
        limits=Limits(timeout_s=5),
    )
    assert (run.answer, end.tasks[0].text) == ("met", "12")


async def test_a_stage_is_mapped_over_a_list_and_its_parts_are_joined_in_order() -> None:
    reader, end = Says("reader", lambda task: task.text.upper()), Says("end", lambda task: task.text)
    documents = ["a {x}", "b", "c"]
    run, ended = await went(
        flow(
            stage("reader", prompt="read {item}", over=Over(inputs="documents")),
            stage("end", "reader", prompt="<{reader}>"),
        ),
        [reader, end],
        Task(text="sum up", inputs={"documents": documents, "other": 1}),
    )
    assert run.answer == "<READ A {X}\n\nREAD B\n\nREAD C>"
    assert sorted(ended) == [("end", 0), ("reader", 0), ("reader", 1), ("reader", 2)]
    assert {str(task.inputs["item"]) for task in reader.tasks} == set(documents)
    assert end.tasks[0].inputs == {"other": 1}  # what is mapped over is not handed on whole


async def test_the_last_round_of_a_loop_stands_and_each_round_sees_the_one_before() -> None:
    writer, critic = Says("writer", in_turn("one", "two")), Says("critic", in_turn("more", "approved", "never"))
    workflow = flow(
        stage("writer", prompt="Write.", again="{writer}? {critic}!"),
        stage("critic", "writer", prompt="{writer}", until=Condition(contains="approved"), back_to="writer", most=5),
        output="writer",
    )
    run, ended = await went(workflow, [writer, critic])
    assert (run.answer, [task.text for task in writer.tasks]) == ("two", ["Write.", "one? more!"])
    assert [task.text for task in critic.tasks] == ["one", "two"]
    assert reasons(ended)["critic"] == "its loop ends: the condition holds after round 2"


async def test_a_loop_ends_at_its_bound() -> None:
    run, ended = await went(flow(stage("ann", until=Condition(contains="yes"), most=3)), [Says("ann", "no")])
    assert (run.status, run.answer, len(ended)) == (RunStatus.COMPLETED, "no", 3)
    assert reasons(ended)["ann"] == "its loop ends: round 3 was the last that is allowed"


async def test_a_round_that_fails_may_be_skipped_and_the_answer_before_it_stands() -> None:
    replies = iter(["first"])
    ann = Says("ann", lambda task: next(replies, "") or raising(ValueError("tired"))(task))
    run, _ = await went(flow(stage("ann", until=Condition(equals="x"), most=3, on_failure="skip")), [ann])
    assert (run.status, run.answer, len(ann.tasks)) == (RunStatus.COMPLETED, "first", 2)


async def test_a_condition_chooses_between_stages_and_what_comes_after_both_goes_on_with_one() -> None:
    agents = [Says("kind", "a bug"), Says("fix", "fixed"), Says("sell", "sold"), Says("end", lambda task: task.text)]
    bug = Condition(contains="bug")
    workflow = flow(
        stage("kind"),
        stage("fix", "kind", when=bug),
        stage("sell", "kind", when=bug.model_copy(update={"negated": True})),
        stage("deliver", "sell", by="sell"),
        stage("end", "fix", "deliver", prompt="[{fix}][{deliver}]"),
    )
    run, ended = await went(workflow, agents)
    assert run.answer == "[fixed][]"
    assert reasons(ended)["sell"] == "its condition does not hold"
    assert reasons(ended)["deliver"] == "no stage before it gave an answer ('sell': its condition does not hold)"
    assert agents[2].tasks == []


FAILURES: list[tuple[Workflow, dict[str, Reply | str], RunStatus, str]] = [
    (
        flow(stage("ann"), stage("bob", "ann")),
        {"ann": raising(ValueError("no"))},
        RunStatus.FAILED,
        "stage 'ann': ann: V",
    ),
    (flow(stage("ann", by="nobody")), {"ann": ""}, RunStatus.FAILED, "stage 'ann': .*'stage'"),
    (flow(stage("ann", skills=("law",))), {"ann": ""}, RunStatus.FAILED, "stage 'ann': .*'skill:law'"),
    (flow(stage("ann", when=lambda known: known["x"] == "")), {"ann": ""}, RunStatus.FAILED, "condition raised KeyErr"),
    (
        flow(stage("ann", until=lambda known: known["x"] == "", most=2)),
        {"ann": "yes"},
        RunStatus.FAILED,
        "the condition that ends its loop raised KeyErr",
    ),
    (flow(stage("ann", over=lambda known: 3)), {"ann": ""}, RunStatus.FAILED, "is mapped over 3"),
    (
        flow(stage("ann", over=lambda known: [0] * 10_000)),
        {"ann": ""},
        RunStatus.FAILED,
        "10000 items; at most 100 are",
    ),
    (flow(stage("ann", over=lambda known: [])), {"ann": ""}, RunStatus.ABSTAINED, "there is nothing to map it over"),
    (flow(stage("ann", when=Condition(equals="dogs"))), {"ann": ""}, RunStatus.ABSTAINED, "condition does not hold"),
    (
        flow(stage("ann"), stage("bob", "ann", prompt="{ann}" * 9)),
        {"ann": "x" * 2**17},
        RunStatus.FAILED,
        "1179648 char",
    ),
    (flow(stage("ann", limits=Limits(cost_usd=0))), {"ann": ""}, RunStatus.OVER_BUDGET, "stage 'ann': .*estimated"),
    (
        flow(stage("ann", on_failure="skip"), stage("bob", "ann")),
        {"ann": raising(ValueError("no"))},
        RunStatus.FAILED,
        r"stage 'bob' gave no answer: no stage before it gave an answer \('ann': ann: ValueError: no\)",
    ),
    (
        flow(stage("ann", over=lambda known: ["1", "2"], prompt="{item}")),
        {"ann": lambda task: "1" if task.text == "1" else raising(ValueError("no"))(task)},
        RunStatus.FAILED,
        "stage 'ann': part 1: ann: ValueError: no",
    ),
]


@pytest.mark.parametrize(("workflow", "replies", "status", "said"), FAILURES, ids=range(len(FAILURES)))
async def test_a_stage_that_cannot_be_done_ends_the_workflow_with_its_reason(
    workflow: Workflow, replies: dict[str, Reply | str], status: RunStatus, said: str
) -> None:
    agents = [Says(name, replies.get(name, "never asked")) for name in ("ann", "bob")]
    run, _ = await went(workflow, agents)
    assert (run.status, run.answer) == (status, None)
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(run.error)
    assert agents[1].tasks == []


async def test_what_fails_and_may_be_skipped_leaves_the_rest_to_the_others() -> None:
    half = Says("half", lambda task: task.text if task.text != "2" else raising(ValueError("no"))(task))
    workflow = flow(
        stage("ann", on_failure="skip"),
        stage("half", prompt="{item}", over=lambda known: ["1", "2", "3"], on_failure="skip"),
        stage("end", "ann", "half", prompt="({ann})({half})"),
    )
    run, _ = await went(workflow, [Says("ann", raising(ValueError("no"))), half, Says("end", lambda task: task.text)])
    assert (run.status, run.answer) == (RunStatus.COMPLETED, "()(1\n\n3)")


@pytest.mark.parametrize(
    ("limits", "calls"), [(Limits(cost_usd="0.0025"), 2), (Limits(max_calls=2), 2), (Limits(cost_usd=0), 0)]
)
async def test_the_limits_of_the_whole_hold_for_all_stages_together(limits: Limits, calls: int) -> None:
    parts = [f"p{number}" for number in range(4)]
    agents = [Says(name, "x") for name in parts]
    run, _ = await went(flow(*map(stage, parts), stage("end", *parts)), [*agents, Says("end", "")], limits=limits)
    assert run.status is RunStatus.OVER_BUDGET
    assert sum(len(agent.tasks) for agent in agents) == calls


async def test_when_its_time_is_over_a_stage_is_not_begun() -> None:
    async with Mesh([HangingAgent("ann"), Says("bob", "never")], router="random", embedder="hashing") as mesh:
        workflow = flow(stage("ann", on_failure="skip"), stage("bob", by="bob"), stage("end", "ann", "bob", by="bob"))
        run = await mesh.run_workflow(workflow, "cats", limits=Limits(timeout_s=0.05))
    assert (run.status, run.answer) == (RunStatus.FAILED, None)
    assert "no time is left of what the workflow may take" in str(run.error)


async def test_a_stage_gets_what_its_prompt_does_not_name_as_context() -> None:
    agents = [Says(name, f"by {name}") for name in ("one", "two", "all", "few", "none")]
    workflow = flow(
        stage("one"),
        stage("two", "one", prompt="{one}"),
        stage("few", "two"),
        stage("all", "few", context="all"),
        stage("none", "all", context="none"),
    )
    await went(workflow, agents, Task(text="cats", context=()))
    got = {agent.id: [(item.key, item.text, item.stage) for item in agent.tasks[0].context] for agent in agents}
    assert got["two"] == got["none"] == []
    assert got["few"] == [("two", "by two", "two")]
    assert got["all"] == [("one", "by one", "one"), ("two", "by two", "two"), ("few", "by few", "few")]


async def test_a_stage_has_its_own_team_refiner_and_limits() -> None:
    agents = [Says("ann", "1"), Says("bob", "1"), Says("cay", "2")]
    workflow = flow(
        stage("team", by="all", team=Team(most=3, stop=1.0)),
        stage("panel", "team", by="all", refiner=VoteRefiner(), limits=Limits(max_agents=2)),
    )
    async with Mesh(agents, router="random", explore=0) as mesh:
        run = await mesh.run_workflow(workflow, "cats", run_id="w")
        team, panel = mesh.store.run("w/team"), mesh.store.run("w/panel")
        assert (await replay(mesh.store, "w", workflow=workflow)).identical
    assert ([call.wave for call in team.calls], team.answer) == ([1, 2, 3], "1")
    assert (len(panel.calls), run.status) == (2, RunStatus.COMPLETED)


async def test_routers_are_told_where_a_stage_stands_and_who_answered_before(tmp_path: Path) -> None:
    agents = [Says("ann", "1"), Says("bob", "2")]
    workflow = flow(stage("first", by="ann"), stage("side", by="bob"), stage("last", "side", "first", by="ann"))
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    async with Mesh(agents, store=url, learning=Learning(mode="loop"), embedder="hashing") as mesh:
        await mesh.run_workflow(workflow, "cats", run_id="w")
        started = [mesh.store.events(f"w/{name}")[0] for name in ("first", "last")]
        assert [(one.layer, one.previous, one.stage) for one in started if isinstance(one, RunStarted)] == [
            (0, "", "first"),
            (1, "bob", "last"),
        ]
        assert (await replay(mesh.store, "w/last")).identical
        whole = mesh.store.events("w")[0]
    assert isinstance(whole, RunStarted)
    assert whole.workflow == workflow.fingerprint


async def test_a_stream_has_the_events_of_all_runs_each_in_its_order() -> None:
    agents = [Says("ann", "1"), Says("bob", "2")]
    workflow = flow(stage("ann"), stage("bob"), stage("end", "ann", "bob", by="ann"))
    async with Mesh(agents, router="random", embedder="hashing") as mesh:
        events = [event async for event in mesh.stream("cats", workflow=workflow, run_id="w")]
        stored = {run_id: mesh.store.events(run_id) for run_id in ("w", "w/ann", "w/bob", "w/end")}
    assert isinstance(events[-1], RunFinished)
    assert events[-1].run_id == "w"
    told = [event for event in events if event.kind != "answer_chunk"]
    assert {run_id: [event for event in told if event.run_id == run_id] for run_id in stored} == stored


async def test_a_cancelled_workflow_ends_with_all_its_stages() -> None:
    both = asyncio.Barrier(3)

    class Hangs(HangingAgent):
        async def reply(self, task: Task) -> str:
            await both.wait()
            return await super().reply(task)

    hanging = Hangs("hang")
    workflow = flow(stage("hang"), stage("two", by="hang"), stage("end", "hang", "two", by="hang"))
    store = open_store(None)
    async with Mesh([hanging], router="random", embedder="hashing", store=store) as mesh:
        running = asyncio.ensure_future(mesh.run_workflow(workflow, "cats", run_id="w"))
        await both.wait()
        assert mesh.cancel("w")
        run = await running
    trace = store.events("w")
    children = [store.run(f"w/{name}") for name in ("hang", "two")]
    with pytest.raises(ReplayError, match="has not ended by itself"):
        await replay(store, "w")
    assert (run.status, isinstance(trace[-1], RunFinished)) == (RunStatus.CANCELLED, True)
    assert [child.status for child in children] == [RunStatus.CANCELLED] * 2
    assert [event.seq for event in trace] == list(range(len(trace)))
    assert hanging.cancelled == 2


async def test_secrets_are_hidden_from_all_stages_and_come_back_at_the_end(tmp_path: Path) -> None:
    agents = [Says("ann", lambda task: f"to {task.text}"), Says("bob", lambda task: task.text)]
    workflow = flow(stage("ann"), stage("bob", "ann", prompt="{ann}"))
    path = tmp_path / "mesh.db"
    async with Mesh(
        agents,
        router="random",
        embedder="hashing",
        secrets=Secrets(),
        store=f"sqlite:///{path}",
        learning=Learning(mode="off"),
    ) as mesh:
        events = [event async for event in mesh.stream("write ann@example.org", workflow=workflow, run_id="w")]
        run = mesh.store.run("w")
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert last.answer == "to write ann@example.org"
    given = {event.run_id: event.task.text for event in events if isinstance(event, RunStarted)}
    assert given["w/bob"] == "to write ann@example.org"
    assert "ann@example.org" not in (run.answer or "")
    assert all("example.org" not in task.text for agent in agents for task in agent.tasks)
    assert b"ann@example.org" not in path.read_bytes()


def cut(store: TraceStore, run_id: str, length: int, *, lost: int = 0) -> TraceStore:
    """Return a store with the first events of a run, and of the runs of its stages those that were written by then."""
    other = open_store(None)
    trace = store.events(run_id)[:length]
    begun = [event.child for event in trace if isinstance(event, StageStarted)]
    named = trace[0]
    assert isinstance(named, RunStarted)
    other.put_registry(store.registry(named.registry_version))
    other.put_router("workflow", named.workflow, store.router_parameters("workflow", named.workflow) or "")
    for child in begun:
        other.append(store.events(child)[: -lost or None])
    other.append(trace)
    return other


async def test_a_workflow_that_was_cut_off_goes_on_and_no_stage_is_done_twice() -> None:
    def agents() -> list[Says]:
        return [Says("ann", lambda task: task.text + "!"), Says("bob", lambda task: f"<{task.text}>")]

    workflow = flow(
        stage("split", by="ann", prompt="x"),
        stage("read", "split", by="ann", prompt="{item}", over=Over(stage="split")),
        stage("skipped", by="bob", when=Condition(equals="dogs")),
        stage(
            "join", "read", "skipped", by="bob", prompt="{read}", until=Condition(contains="<<"), most=2, again="{join}"
        ),
    )
    async with Mesh(agents(), router="random", embedder="hashing") as mesh:
        whole = await mesh.run_workflow(workflow, "cats", run_id="w")
        length = len(mesh.store.events("w"))
        for kept in range(1, length):
            store = cut(mesh.store, "w", kept)
            done = {summary.id for summary in store.runs()} - {"w"}
            who = agents()
            async with Mesh(who, router="random", embedder="hashing", store=store) as other:
                run = await other.resume("w")
                assert (run.status, run.answer, run.cost_usd) == (whole.status, whole.answer, whole.cost_usd)
                assert sorted(map(str, run.stages)) == sorted(map(str, whole.stages))
                assert sum(len(one.tasks) for one in who) == 4 - len(done)
                assert kept % 4 or (await replay(store, "w")).identical
                assert await other.resume("w") == run


WAITING = flow(
    stage("ann"),
    stage("bob"),
    stage("cay", "bob"),
    stage("end", "ann", "cay", prompt="{ann}, {cay}"),
)


def waiting_mesh(agents: list[Says], store: TraceStore | str | None = None) -> Mesh:
    rules = [Approval(agents=["ann"]), Approval(agents=["end"], run_usd=10)]
    return Mesh(agents, router="random", embedder="hashing", explore=0, store=store, approvals=rules)


def says() -> list[Says]:
    return [Says(name, f"by {name}") for name in ("ann", "bob", "cay", "end")]


@pytest.mark.parametrize("answered", ["w", "w/ann"], ids=["by the workflow", "by the stage"])
async def test_a_workflow_waits_with_a_stage_while_the_others_go_on_until_it_is_approved(answered: str) -> None:
    agents = says()
    async with waiting_mesh(agents) as mesh:
        run = await mesh.run_workflow(WAITING, "cats", run_id="w")
        assert (run.status, [request.agent_id for request in run.waiting_for]) == (RunStatus.WAITING, ["ann"])
        assert mesh.store.runs(RunFilter(status=RunStatus.WAITING, alone=True))[0].id == "w"
        assert [len(agent.tasks) for agent in agents] == [0, 1, 1, 0]
        length = len(mesh.store.events("w"))
        assert (await mesh.resume("w")).status is RunStatus.WAITING
        assert len(mesh.store.events("w")) == length
        with pytest.raises(ConfigError, match="stages of run 'w' wait for 'ann'"):
            await mesh.approve("w", "bob")
        await mesh.approve(answered, by="eve", text="dogs")
        done = mesh.store.run("w")
        assert (await replay(mesh.store, "w")).identical
    assert (done.status, done.answer, done.waiting_for) == (RunStatus.COMPLETED, "by end", ())
    assert [len(agent.tasks) for agent in agents] == [1, 1, 1, 1]
    assert [agents[0].tasks[0].text, agents[3].tasks[0].text] == ["dogs", "by ann, by cay"]


async def test_a_workflow_that_waits_is_approved_in_another_process_and_taken_up_with_the_rest(tmp_path: Path) -> None:
    url, first, then = f"sqlite:///{tmp_path / 'mesh.db'}", says(), says()
    async with waiting_mesh(first, url) as mesh:
        await mesh.run_workflow(WAITING, "cats", run_id="w")
    with open_store(url) as store:
        assert resumable(store, now=0) == []
        assert record_answer(store, "w/ann", Said("reject", note="too dear"), now=1) == "w"
        assert resumable(store, now=2) == ["w"]
    async with waiting_mesh(then, url) as mesh:
        run = await mesh.resume("w")
    assert (run.status, run.answer) == (RunStatus.FAILED, None)
    assert run.error == "stage 'ann': ann: rejected by a person: too dear"
    assert [len(agent.tasks) for agent in then] == [0, 0, 0, 0]


async def test_a_stage_that_was_lost_half_way_goes_on_with_its_workflow() -> None:
    workflow = flow(stage("ann"))
    async with Mesh([Says("ann", "1")], router="random", embedder="hashing") as mesh:
        await mesh.run_workflow(workflow, "cats", run_id="w")
        store = cut(mesh.store, "w", 2, lost=3)
    async with Mesh([Says("ann", "1")], router="random", embedder="hashing", store=store) as other:
        run = await other.resume("w")
        assert await other.resume("w") == run
        with pytest.raises(ConfigError, match="'w/ann' is of no workflow"):
            await other.resume("w/ann", workflow=workflow)
    assert (run.status, run.answer) == (RunStatus.COMPLETED, "1")


async def test_a_run_of_another_workflow_is_not_gone_on_with() -> None:
    workflow = flow(stage("ann", when=lambda known: True))
    async with Mesh([Says("ann", "1")], router="random", embedder="hashing") as mesh:
        await mesh.run_workflow(workflow, "cats", run_id="w")
        await mesh.run("cats", run_id="plain")
        store = cut(mesh.store, "w", 2)
        with pytest.raises(ReplayError, match="pass the workflow itself"):
            await replay(mesh.store, "w")
        with pytest.raises(ReplayError, match="was given"):
            await replay(mesh.store, "w", workflow=flow(stage("ann")))
    async with Mesh([Says("ann", "1")], router="random", embedder="hashing", store=store) as other:
        with pytest.raises(ConfigError, match="pass the workflow itself"):
            await other.resume("w")
        with pytest.raises(ConfigError, match="is not one of the workflow"):
            await other.resume("w", workflow=flow(stage("ann")))
        assert (await other.resume("w", workflow=workflow)).answer == "1"


class Picky(HashingEmbedder):
    """Embeds everything but one text."""

    def embed(self, texts: Sequence[str]) -> VectorArray:
        if any("boom" in text for text in texts):
            raise LlmError("the endpoint is gone")
        return super().embed(texts)


async def test_a_stage_whose_run_cannot_begin_is_told_and_replayed() -> None:
    async with Mesh([Says("bob", "")], router="random", embedder=Picky()) as mesh:

        def register(task: Task) -> str:
            mesh.register(Says("boom", ""))
            return "1"

        mesh.register(Says("ann", register))
        workflow = flow(stage("ann"), stage("bob", "ann"))
        run = await mesh.run_workflow(workflow, "cats", run_id="w")
        assert (await replay(mesh.store, "w")).identical
    assert (run.status, run.error) == (RunStatus.FAILED, "stage 'bob': the endpoint is gone")
    assert run.stages[-1].run_id is None


def tampered(store: TraceStore, run_id: str, kind: type[Event], change: Callable[[Event], Event]) -> TraceStore:
    """Return a store with a run and the runs of its stages, in which events of one kind of one run are changed."""
    other = cut(store, "w", len(store.events("w")))
    copied = open_store(None)
    started = store.events("w")[0]
    assert isinstance(started, RunStarted)
    copied.put_registry(store.registry(started.registry_version))
    copied.put_router("workflow", started.workflow, store.router_parameters("workflow", started.workflow) or "")
    for name, parameters in store.routers():
        copied.put_router(name, parameters, store.router_parameters(name, parameters) or "")
    for summary in other.runs():
        events = other.events(summary.id)
        copied.append([change(one) if summary.id == run_id and isinstance(one, kind) else one for one in events])
    return copied


async def test_a_replay_says_where_a_trace_does_not_follow() -> None:
    workflow = flow(stage("ann"), stage("bob", "ann", prompt="{ann}"))
    async with Mesh([Says("ann", "1"), Says("bob", "2")], router="random", embedder="hashing") as mesh:
        await mesh.run_workflow(workflow, "cats", run_id="w")
        changes: list[tuple[str, type, dict[str, object], str]] = [
            ("w", RunFinished, {"answer": "3"}, "the end of the workflow"),
            ("w", AnswerRefined, {"answered_by": ("ann",)}, "the answer of the workflow"),
            ("w", StageFinished, {"result": StageRun(stage="ann", answer="0")}, "stage 'ann' part 1"),
            ("w/bob", AnswerRefined, {"answer": "3"}, "stage 'bob' part 1: AnswerRefined 1 answer"),
        ]
        for run_id, kind, change, where in changes:
            store = tampered(mesh.store, run_id, kind, lambda one, change=change: one.model_copy(update=change))
            assert where in [difference.where for difference in (await replay(store, "w")).differences]
        asked = tampered(
            mesh.store, "w/bob", RunStarted, lambda one: one.model_copy(update={"task": Task(text="another")})
        )
        with pytest.raises(ReplayMissError, match="asks another task than run 'w/bob'"):
            await replay(asked, "w", workflow=workflow)
