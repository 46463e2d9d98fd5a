"""Stored runs as spans: the same as those that were told while they went on, and the same each time."""

from collections.abc import Iterator
from typing import Any

import pytest

from agentmesh import Learning, Limits, Mesh, Stage, Task, Workflow, agent
from agentmesh.errors import RunNotFoundError
from agentmesh.events import FeedbackGiven, RunFinished, RunResumed
from agentmesh.playback.sending import StoredSpans, follow, send_runs, started_since, with_inner
from agentmesh.records import Feedback, RunStatus
from agentmesh.store import open_store
from agentmesh.store.base import TraceStore
from agentmesh.telemetry import FinishedSpan, OtelListener, SpanPipe, open_pipe
from agentmesh.testing.agents import EchoAgent, FailingAgent
from agentmesh.testing.otlp import FakeCollector, ReceivedSpan


@pytest.fixture
def store() -> Iterator[TraceStore]:
    with open_store("memory://") as opened:
        yield opened


@pytest.fixture
def pipe(collector: FakeCollector) -> Iterator[SpanPipe]:
    opened = open_pipe(collector.url)
    yield opened
    opened.close()


def mesh_of(store: TraceStore, *agents: Any, **options: Any) -> Mesh:
    return Mesh(
        agents, store=store, router="cosine", embedder="hashing", explore=0, learning=Learning(mode="off"), **options
    )


FLOW = Workflow(name="f", stages=(Stage(name="first"), Stage(name="last", after=("first",))), output="last")


@pytest.mark.parametrize("content", [False, True])
async def test_what_is_sent_of_a_store_is_what_was_told_while_it_happened(
    content: bool, store: TraceStore, collector: FakeCollector
) -> None:
    @agent(description="Asks on.")
    async def asks_on(task: Task) -> str:
        return (await inner.run(task)).answer or "nothing"

    with OtelListener(collector.url, content=content) as spans:
        answering = (EchoAgent("echo"), FailingAgent("failing"))
        inner = mesh_of(store, *answering, limits=Limits(max_agents=2), listeners=[spans])
        async with inner, mesh_of(store, asks_on, listeners=[spans]) as outer:
            await outer.run("by itself")
            await outer.run_workflow(FLOW, "in stages")
    with FakeCollector() as other:
        pipe = open_pipe(other.url)
        assert send_runs(store, started_since(store, 0), pipe, content=content) == 7
        pipe.close()
    assert same(other.spans) == same(collector.spans)
    assert len(same(other.spans)) == len(other.spans) > 30


async def test_a_run_is_sent_with_all_that_it_started_and_twice_with_the_same_ids(
    store: TraceStore, collector: FakeCollector, pipe: SpanPipe
) -> None:
    async with mesh_of(store, EchoAgent("echo")) as mesh:
        run = await mesh.run_workflow(FLOW, "a task")
        await mesh.run("another")
    for _ in range(2):
        assert send_runs(store, with_inner(store, [run.id]), pipe) == 3
        pipe.settle(5)
    once, again = collector.spans[: len(collector.spans) // 2], collector.spans[len(collector.spans) // 2 :]
    assert same(once) == same(again)
    assert len({span.trace for span in once}) == 1
    with pytest.raises(RunNotFoundError):
        send_runs(store, ["nobody"], pipe)


async def test_who_follows_a_store_sends_each_run_at_its_end_and_each_score(
    store: TraceStore, collector: FakeCollector, pipe: SpanPipe
) -> None:
    async with mesh_of(store, EchoAgent("echo")) as mesh:
        await mesh.run("before")
        begin = store.last_place()
        assert begin == store.tail()[-1].place
        run = await mesh.run("after")
        store.add_feedback(Feedback(run_id=run.id, score=0.5, source="ann", at=run.started_at + 9))
        waits = iter([True, False])
        pages = follow(store, pipe, after=begin, wait=lambda: next(waits))
        assert next(pages) == 1
        second = await mesh.run_workflow(FLOW, "in stages")
        assert sum(pages) == 3
    pipe.settle(5)
    roots = {span.attributes["agentmesh.run.id"]: span for span in collector.named("invoke_workflow")}
    assert set(roots) == {run.id, second.id, f"{second.id}/first", f"{second.id}/last"}
    assert len({roots[run_id].trace for run_id in roots if run_id != run.id}) == 1
    score, scored = collector.one("feedback"), roots[run.id]
    assert (score.trace, score.parent, score.links) == (scored.trace, scored.id, ((scored.trace, scored.id),))
    assert score.attributes["gen_ai.evaluation.name"] == "ann"
    assert score.attributes["gen_ai.evaluation.score.value"] == 0.5


async def test_a_run_that_was_lost_is_told_as_it_stands(store: TraceStore) -> None:
    async with mesh_of(store, EchoAgent("echo")) as mesh:
        run = await mesh.run("a task")
        events = mesh.store.events(run.id)
    until = next(place for place, event in enumerate(events) if event.kind == "call_finished")
    with open_store("memory://") as cut:
        cut.append(events[:until])
        spans = {span.name: span for span in StoredSpans(cut).of_run(run.id)}
    assert set(spans) == {"invoke_workflow", "prepare", "route cosine", "invoke_agent echo"}
    assert spans["invoke_workflow"].attributes["agentmesh.run.status"] == "running"
    assert spans["invoke_agent echo"].attributes["agentmesh.unfinished"] is True
    assert spans["invoke_agent echo"].ended_at == events[until - 1].at


async def test_a_run_whose_parent_is_gone_hangs_from_where_that_was(store: TraceStore) -> None:
    async with mesh_of(store, EchoAgent("echo")) as mesh:
        run = await mesh.run_workflow(FLOW, "a task")
    whole = next(span for span in StoredSpans(store).of_run(run.id) if span.name == "invoke_workflow")
    with open_store("memory://") as cut:
        cut.append(store.events(f"{run.id}/first"))
        child = next(span for span in StoredSpans(cut).of_run(f"{run.id}/first") if span.name == "invoke_workflow")
    assert child.parent == whole.own


async def test_what_a_run_started_among_several_calls_hangs_from_the_run(store: TraceStore) -> None:
    def asking(name: str) -> Any:
        @agent(description="Asks on.", id=name)
        async def asks(task: Task) -> str:
            return (await inner.run(task)).answer or "nothing"

        return asks

    inner = mesh_of(store, EchoAgent("echo"))
    async with inner, mesh_of(store, asking("one"), asking("two"), limits=Limits(max_agents=2)) as outer:
        run = await outer.run("a task")
    spans = StoredSpans(store)
    whole = roots(spans.of_run(run.id))[0]
    children = [roots(spans.of_run(run_id))[0] for run_id in list(with_inner(store, [run.id]))[1:]]
    assert len(children) == 2
    assert {child.parent for child in children} == {whole.own}


def test_more_than_a_pipe_holds_waits_for_the_collector(store: TraceStore, collector: FakeCollector) -> None:
    ended = [RunFinished(run_id=f"r{n}", seq=0, at=1.0, status=RunStatus.COMPLETED) for n in range(40)]
    store.append(ended)
    pipe = open_pipe(collector.url, most_spans=10)
    assert send_runs(store, [event.run_id for event in ended], pipe) == 40
    pipe.close()
    assert (pipe.counts.sent, pipe.counts.lost, len(collector.requests)) == (40, 0, 4)


def test_a_score_of_a_run_is_told_by_its_place_in_the_log(store: TraceStore) -> None:
    given = FeedbackGiven(run_id="r", seq=4, at=2.0, feedback=Feedback(run_id="r", score=1.0, at=2.0))
    store.append([RunFinished(run_id="r", seq=0, at=1.0, status=RunStatus.COMPLETED)])
    first, again = (StoredSpans(store).since(given) for _ in range(2))
    assert first == again
    assert StoredSpans(store).since(RunResumed(run_id="r", seq=9, at=1.0)) == []


def roots(spans: list[FinishedSpan]) -> list[FinishedSpan]:
    return [span for span in spans if span.name == "invoke_workflow"]


def same(spans: list[ReceivedSpan]) -> set[str]:
    """Return spans as text, since what is not known of a candidate is NaN, which nothing equals."""
    return {repr(span) for span in spans}
