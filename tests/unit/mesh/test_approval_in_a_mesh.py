"""Human approval: who is asked, when, what each answer does, and that nothing runs twice."""

import asyncio
import importlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentmesh import Agent, Learning, Limits, Mesh, Preference, RunStatus, Secrets, Task, open_store, replay
from agentmesh.approvals import Approval
from agentmesh.cli.app import main
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError, RegistrationError, RunNotFoundError, StoreError
from agentmesh.events import ApprovalAsked, ApprovalGiven, Event, RunResumed
from agentmesh.graphs.replies import Said, record_reply, resumable
from agentmesh.judging.verifiers import CallableVerifier
from agentmesh.records import CallStatus, RegistrySnapshot
from agentmesh.routing.similarity import CosineRouter
from agentmesh.store.memory import MemoryStore
from agentmesh.testing import CannedAgent, EchoAgent

EMBEDDER = HashingEmbedder()
BUY = Approval(agents={"buyer"}, reason="it spends money")
FIRST = Preference(action="prefer", agents=("buyer",))


def mesh_of(agents: Sequence[Agent] | None = None, **options: Any) -> Mesh:
    team = [EchoAgent("buyer", price_per_call_usd="0.5"), EchoAgent("clerk", price_per_call_usd="0.1")]
    given: dict[str, Any] = {"router": CosineRouter(), "embedder": EMBEDDER, "explore": 0, "approvals": [BUY]}
    given |= {"preferences": [FIRST], "learning": Learning(mode="loop")}
    return Mesh(team if agents is None else agents, **(given | options))


async def test_a_call_waits_and_goes_on_when_it_is_approved_and_replays() -> None:
    async with mesh_of() as mesh:
        run = await mesh.run("buy three", run_id="r")
        assert (run.status, run.answer, run.calls) == (RunStatus.WAITING, None, ())
        (request,) = run.waiting_for
        assert (request.agent_id, request.text, request.reason) == ("buyer", "buy three", "it spends money")
        assert str(request.estimate_usd) == "0.5"
        assert await mesh.resume("r") == run
        again = await mesh.approve("r", by="ann", note="fine")
        assert (again.status, again.answer, again.waiting_for) == (RunStatus.COMPLETED, "buy three", ())
        assert await mesh.resume("r") == again == mesh.store.run("r")
        kinds = [event.kind for event in mesh.store.events("r")]
        assert kinds[3:6] == ["approval_asked", "approval_given", "run_resumed"]
        assert kinds.count("run_finished") == 1
        assert (await replay(mesh.store, "r", router=CosineRouter())).differences == ()


@pytest.mark.parametrize(
    ("rule", "waits"),
    [
        (Approval(), True),
        (Approval(agents={"clerk"}), False),
        (Approval(flags={"external"}), True),
        (Approval(flags={"internal"}), False),
        (Approval(call_usd="0.4"), True),
        (Approval(call_usd="0.5"), False),
        (Approval(run_usd="0.4"), True),
        (Approval(run_usd="0.5"), False),
        (Approval(agents={"buyer"}, call_usd="9"), False),
    ],
)
@pytest.mark.parametrize("priced", [True, False])
async def test_a_rule_fits_when_all_its_conditions_hold_and_an_unknown_price_is_above_any(
    rule: Approval, waits: bool, priced: bool
) -> None:
    buyer = EchoAgent("buyer", price_per_call_usd="0.5" if priced else None)
    buyer.policy_flags = frozenset({"external"})
    async with mesh_of([buyer, EchoAgent("clerk")], approvals=[rule]) as mesh:
        run = await mesh.run("buy")
    by_money = rule.call_usd is not None or rule.run_usd is not None
    assert (run.status is RunStatus.WAITING) == (waits or (by_money and not priced))


async def test_the_first_rule_that_fits_says_why_and_how_long() -> None:
    rules = [Approval(agents={"clerk"}, reason="no"), Approval(reason="first", expires_s=60), Approval(reason="second")]
    async with mesh_of(approvals=rules) as mesh:
        (request,) = (await mesh.run("buy")).waiting_for
    assert request.reason == "first"
    assert request.expires_at is not None


async def test_an_edit_is_what_the_agent_is_asked_and_the_task_stays() -> None:
    async with mesh_of() as mesh:
        await mesh.run("buy three", run_id="r")
        run = await mesh.approve("r", "buyer", by="ann", text="buy two")
        assert (run.task.text, run.answer) == ("buy three", "buy two")
        assert (await replay(mesh.store, "r", router=CosineRouter())).identical


@pytest.mark.parametrize(("fallbacks", "status"), [(0, RunStatus.FAILED), (1, RunStatus.COMPLETED)])
async def test_a_rejected_call_is_refused_and_another_may_stand_in(fallbacks: int, status: RunStatus) -> None:
    async with mesh_of() as mesh:
        await mesh.run("buy", run_id="r", limits=Limits(fallbacks=fallbacks))
        run = await mesh.reject("r", by="ann", note="too dear")
        assert run.status is status
        assert run.calls[0].status is CallStatus.REFUSED
        assert run.calls[0].error == "rejected by 'ann': too dear"
        assert run.error == (None if fallbacks else "buyer: rejected by 'ann': too dear")
        assert run.answered_by == (("clerk",) if fallbacks else ())
        assert (await replay(mesh.store, "r", router=CosineRouter())).identical
        with pytest.raises(ConfigError, match=r"waits for no approval; .*'buyer': reject by 'ann'"):
            await mesh.approve("r")


async def test_retries_need_no_second_approval_and_a_stand_in_needs_its_own() -> None:
    team = [CannedAgent([ConnectionError("gone"), ValueError("no")], "buyer"), EchoAgent("clerk")]
    async with mesh_of(team, approvals=[Approval()]) as mesh:
        await mesh.run("buy", run_id="r", limits=Limits(fallbacks=1, retries=1))
        run = await mesh.approve("r")
        assert [request.agent_id for request in run.waiting_for] == ["clerk"]
        assert [(call.attempt, call.status.value) for call in run.calls] == [(1, "failed"), (2, "failed")]
        run = await mesh.approve("r")
        assert (run.answer, team[0].calls) == ("buy", 2)
        assert (await replay(mesh.store, "r", router=CosineRouter())).identical


async def test_the_rest_of_a_wave_is_called_before_anybody_is_asked_and_each_may_be_answered_alone() -> None:
    team = [EchoAgent("buyer"), EchoAgent("seller"), EchoAgent("clerk")]
    rules = [Approval(agents={"buyer", "seller"})]
    async with mesh_of(team, approvals=rules) as mesh:
        run = await mesh.run("trade", run_id="r", limits=Limits(max_agents=3))
        assert [call.agent_id for call in run.calls] == ["clerk"]
        assert [event.kind for event in mesh.store.events("r")][-3:] == ["call_finished", *["approval_asked"] * 2]
        with pytest.raises(ConfigError, match="waits for 'buyer', 'seller'; name the one whose task is edited"):
            await mesh.approve("r", text="other")
        with pytest.raises(ConfigError, match="does not wait for 'clerk'; it waits for 'buyer', 'seller'"):
            await mesh.approve("r", "clerk")
        run = await mesh.approve("r", "seller")
        assert ([one.agent_id for one in run.waiting_for], run.status) == (["buyer"], RunStatus.WAITING)
        with pytest.raises(ConfigError, match="does not wait for 'seller'"):
            await mesh.approve("r", "seller")
        run = await mesh.reject("r")
    assert run.status is RunStatus.COMPLETED
    assert run.answered_by == ("clerk", "seller")
    assert [agent.calls for agent in team] == [0, 1, 1]


async def test_what_cannot_be_answered_is_said_and_changes_nothing() -> None:
    async with mesh_of() as mesh:
        with pytest.raises(RunNotFoundError):
            await mesh.approve("ghost")
        with pytest.raises(RunNotFoundError):
            await mesh.resume("ghost")
        await mesh.run("buy", run_id="r")
        for empty in ("", " \n"):
            with pytest.raises(ConfigError, match="give it some text"):
                await mesh.approve("r", text=empty)
        with pytest.raises(ConfigError, match="not that of run 'r'"):
            await mesh.resume("r", task="something else")
        assert len(mesh.store.events("r")) == 4
        await mesh.approve("r")
        with pytest.raises(
            ConfigError, match=r"run 'r' is completed and waits for no approval; .*approve by 'a person'"
        ):
            await mesh.approve("r")
    with pytest.raises(RegistrationError, match="'byer'"):
        mesh_of(approvals=[Approval(agents={"byer"})])
    with pytest.raises(ConfigError, match="not open"):
        await mesh.approve("r")


async def test_an_approval_that_comes_too_late_counts_as_rejected_by_the_clock() -> None:
    store = open_store(None)
    async with mesh_of(store=store, approvals=[Approval(agents={"buyer"}, expires_s=1e-4)]) as mesh:
        run = await mesh.run("buy", run_id="r")  # closed before the timer has its turn, or after it
    async with mesh_of(store=store) as mesh:
        if not store.run("r").status.has_ended:
            await mesh.approve("r", by="ann")
        run = await mesh.resume("r")
    assert run.error == "buyer: rejected by the clock: nobody approved it in time"
    assert [event.reply.by for event in store.events("r") if isinstance(event, ApprovalGiven)] == ["clock"]


async def test_an_open_mesh_goes_on_by_itself_when_time_is_up() -> None:
    ended = asyncio.Event()

    def verify(task: Task, answer: str) -> float:
        loop.call_soon_threadsafe(ended.set)
        return 1.0

    loop = asyncio.get_running_loop()
    rules = [Approval(agents={"buyer"}, expires_s=0.05)]
    async with mesh_of(approvals=rules, verifiers=[CallableVerifier(verify, name="any")]) as mesh:
        run = await mesh.run("buy", run_id="r", limits=Limits(fallbacks=1))
        assert run.status is RunStatus.WAITING
        await ended.wait()
        run = mesh.store.run("r")
    assert (run.status, run.answered_by) == (RunStatus.COMPLETED, ("clerk",))


async def test_a_run_that_cannot_go_on_by_itself_is_told_in_the_log_of_the_process() -> None:
    told = asyncio.Event()

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "run 'r' cannot go on by itself":
                told.set()

    class Forgetful(MemoryStore):
        def registry(self, version: str) -> RegistrySnapshot:
            raise StoreError(f"the registry {version!r} is gone")

    handler, log = Told(), logging.getLogger("agentmesh.graphs.resuming")
    log.addHandler(handler)
    async with mesh_of(store=Forgetful(), approvals=[Approval(expires_s=0.01)]) as mesh:
        await mesh.run("buy", run_id="r")
        await told.wait()
        assert mesh.store.run("r").status is RunStatus.RUNNING
    log.removeHandler(handler)


async def test_who_is_overtaken_by_another_answer_is_told_what_stands() -> None:
    class Overtaken(MemoryStore):
        """Another answer comes just before the first that is given."""

        def append(self, events: Sequence[Event]) -> None:
            first = next((event for event in events if isinstance(event, ApprovalGiven)), None)
            if first is not None and first.reply.by == "ann":
                other = first.reply.model_copy(update={"by": "bob", "verdict": "reject"})
                super().append([first.model_copy(update={"reply": other})])
            super().append(events)

    async with mesh_of(store=Overtaken()) as mesh:
        await mesh.run("buy", run_id="r")
        with pytest.raises(ConfigError, match="'buyer': reject by 'bob'"):
            await mesh.approve("r", by="ann")
        assert (await mesh.resume("r")).error == "buyer: rejected by 'bob'"


async def test_a_stream_ends_where_the_run_waits_and_its_reader_may_answer_at_once() -> None:
    async with mesh_of() as mesh:
        kinds, run = [], None
        async for event in mesh.stream("buy", run_id="r"):
            kinds.append(event.kind)
            if isinstance(event, ApprovalAsked):
                run = await mesh.approve("r")  # before the run has come to rest
    assert kinds[-1] == "approval_asked"
    assert run is not None
    assert run.status is RunStatus.COMPLETED


async def test_several_who_answer_at_once_go_on_once() -> None:
    team = [EchoAgent(name) for name in ("buyer", "seller", "clerk")]
    async with mesh_of(team, approvals=[Approval()]) as mesh:
        await mesh.run("trade", run_id="r", limits=Limits(max_agents=3))
        answers = [mesh.approve("r", agent.id) for agent in team] + [mesh.approve("r", "buyer")]
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        log = mesh.store.events("r")
    assert [type(outcome) for outcome in outcomes].count(ConfigError) == 1
    assert sum(isinstance(event, RunResumed) for event in log) == 1
    assert [agent.calls for agent in team] == [1, 1, 1]


async def test_a_run_is_scored_once_it_has_ended_and_can_be_taught() -> None:
    verifier = CallableVerifier(lambda task, answer: 1.0, name="any")
    async with mesh_of(verifiers=[verifier]) as mesh:
        await mesh.run("buy", run_id="r")
        with pytest.raises(Exception, match="has not finished"):
            await mesh.feedback("r", 1.0)
        await mesh.approve("r")
        await mesh.resume("r")
        await mesh.feedback("r", 0.5, source="late")
        store = mesh.store
    assert [one.source for one in store.experiences()] == ["verifier:any"]


async def test_secrets_come_back_in_this_process_and_elsewhere_with_the_task(tmp_path: Path) -> None:
    text, url = "Mail ann@example.com", f"sqlite:///{tmp_path / 'mesh.db'}"
    options: dict[str, Any] = {"store": url, "secrets": Secrets()}
    async with mesh_of(**options) as mesh:
        for run_id in ("here", "edited", "elsewhere", "bare"):
            run = await mesh.run(text, run_id=run_id)
            assert run.waiting_for[0].text == text
        assert (await mesh.approve("here")).answer == text
        edited = await mesh.approve("edited", text="Mail ann@example.com and bob@example.com", note="+49 30 901820")
        assert edited.answer == "Mail ann@example.com and bob@example.com"
    async with mesh_of(**options) as mesh:
        with pytest.raises(ConfigError, match="not that of run"):
            await mesh.resume("elsewhere", task="Call ann@example.com")
        waiting = await mesh.resume("elsewhere", task=text)
        assert waiting.waiting_for[0].text == text
        record_reply(mesh.store, "elsewhere", Said("approve"), now=0.0)
        assert (await mesh.resume("elsewhere", task=text)).answer == text
        bare = await mesh.approve("bare", text="Mail bob@example.com")
        assert (bare.answer, "ann@" in bare.task.text) == ("Mail bob@example.com", False)
    kept = await asyncio.to_thread(lambda: b"".join(path.read_bytes() for path in tmp_path.glob("mesh.db*")))
    assert [secret for secret in (b"ann@", b"bob@", b"901820") if secret in kept] == []


def test_an_answer_without_a_mesh_is_written_down_and_what_is_ready_is_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mesh.db'}"
    mesh = mesh_of(store=url, learning=Learning(mode="off"))
    for run_id in ("one", "two"):
        assert mesh.run_sync("buy", run_id=run_id).status is RunStatus.WAITING
    with open_store(url) as store:
        assert resumable(store, now=0.0) == []
        assert record_reply(store, "two", Said("approve", by="ann"), now=1.0)
        assert store.run("two").status is RunStatus.RUNNING
        assert resumable(store, now=0.0) == ["two"]


KILLED = """
import asyncio
from pathlib import Path
from agentmesh import Agent, Learning, Limits, Mesh, Task
from agentmesh.approvals import Approval

class Counting(Agent):
    description = "Counts its calls in a file."
    price_per_call_usd = "0.1"

    def __init__(self, id):
        self.id = id

    async def run(self, task: Task) -> str:
        with Path("calls.txt").open("a") as file:
            file.write(self.id + "\\n")
        return "42"

mesh = Mesh(
    [Counting("one"), Counting("two")],
    router="cosine",
    store="sqlite:///mesh.db",
    embedder="hashing",
    learning=Learning(mode="off"),
    approvals=[Approval(agents={"two"})],
)

async def main():
    async with mesh:
        ids = ["by-python", "by-cli"]
        runs = [await mesh.run("what is it", run_id=run_id, limits=Limits(max_agents=2)) for run_id in ids]
        print(*(run.status.value for run in runs), flush=True)
        await asyncio.Event().wait()

async def approved(run_id):
    async with mesh:
        return (await mesh.approve(run_id)).answer

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.timeout(60)
def test_runs_whose_process_was_killed_while_they_waited_complete_and_nobody_is_called_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "killed.py").write_text(KILLED, encoding="utf-8")
    with subprocess.Popen([sys.executable, "killed.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "waiting waiting\n"
        os.kill(child.pid, signal.SIGKILL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    restarted = importlib.import_module("killed")
    monkeypatch.delitem(sys.modules, "killed")
    assert asyncio.run(restarted.approved("by-python")) == "42"
    assert main(["runs", "approve", "by-cli", "--app", "killed:mesh"]) == 0
    monkeypatch.delitem(sys.modules, "killed")
    assert capsys.readouterr().out == "42\n"
    assert sorted((tmp_path / "calls.txt").read_text().split()) == ["one", "one", "two", "two"]
    with open_store(f"sqlite:///{tmp_path / 'mesh.db'}") as store:
        ended = [store.run(run_id) for run_id in ("by-python", "by-cli")]
    assert [(run.status, run.answered_by) for run in ended] == [(RunStatus.COMPLETED, ("one", "two"))] * 2
