"""A mesh whose runs are told to a collector while they go on: real runs, real HTTP."""

import asyncio
import json
import logging
import math
import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from agentmesh import Answer, Approval, Learning, Limits, Mesh, Stage, Task, Usage, Workflow, agent
from agentmesh.contexts import ContextItem
from agentmesh.errors import ConfigError
from agentmesh.events import AnswerChunk, CallStarted, RunFinished, RunStarted
from agentmesh.records import RunStatus, Turn
from agentmesh.telemetry import OtelListener
from agentmesh.testing.otlp import FakeCollector, ReceivedSpan

SECRETS = ("WORDS-OF-THE-TASK", "WORDS-OF-A-TURN", "WORDS-OF-CONTEXT", "WORDS-OF-AN-ANSWER", "WORDS-OF-AN-ERROR")


@agent(description="Answers questions of any kind.", price_per_call_usd="0.25")
async def clerk(task: Task) -> Answer:
    return Answer(text=f"WORDS-OF-AN-ANSWER to {len(task.text)}", usage=Usage(input_tokens=7, output_tokens=3))


@agent(description="Answers questions of any kind.", price_per_call_usd="0.5")
async def faulty(task: Task) -> str:
    raise ValueError(f"WORDS-OF-AN-ERROR: {task.text}")


def mesh_of(*agents: Any, listener: OtelListener, **options: Any) -> Mesh:
    options = {"router": "cosine", "embedder": "hashing", "explore": 0, **options}
    return Mesh(agents, learning=Learning(mode="off"), listeners=[listener], **options)


def told(task: str = "WORDS-OF-THE-TASK") -> Task:
    return Task(
        text=task,
        id="WORDS-OF-AN-ID",
        turns=(Turn(role="user", text="WORDS-OF-A-TURN"),),
        context=(ContextItem(key="notes", text="WORDS-OF-CONTEXT"),),
    )


def inside(inner: ReceivedSpan, outer: ReceivedSpan) -> bool:
    return (inner.trace, inner.parent) == (outer.trace, outer.id) and (
        outer.start_ns <= inner.start_ns <= inner.end_ns <= outer.end_ns
    )


async def test_a_run_is_a_trace_of_its_steps_with_their_numbers_and_not_a_word(collector: FakeCollector) -> None:
    with OtelListener(collector.url, service_name="shop") as spans:
        async with mesh_of(clerk, faulty, listener=spans, limits=Limits(max_agents=2)) as mesh:
            run = await mesh.run(told())
    assert spans.counts.sent == len(collector.spans) == 6
    whole, route = collector.one("invoke_workflow"), collector.one("route cosine")
    good, bad = collector.one("invoke_agent clerk"), collector.one("invoke_agent faulty")
    assert whole.parent == ""
    assert all(inside(span, whole) for span in collector.spans if span is not whole)
    assert abs(whole.start_ns - run.started_at * 1e9) < 1000
    assert {span.attributes["agentmesh.run.id"] for span in collector.spans} == {run.id}
    assert {span.resource["service.name"] for span in collector.spans} == {"shop"}
    assert whole.attributes["agentmesh.run.status"] == "completed"
    assert whole.attributes["gen_ai.operation.name"] == "invoke_workflow"
    assert whole.attributes["gen_ai.usage.input_tokens"] == 7
    assert not whole.is_error
    assert (good.attributes["agentmesh.cost_usd"], good.attributes["gen_ai.usage.output_tokens"]) == (0.25, 3)
    assert (good.attributes["gen_ai.agent.id"], good.is_error) == ("clerk", False)
    assert (bad.attributes["error.type"], bad.attributes["agentmesh.call.status"]) == ("ValueError", "failed")
    assert (bad.is_error, bad.message) == (True, "")
    assert run.decision is not None
    assert route.attributes["agentmesh.route.chosen"] == tuple(one.agent_id for one in run.decision.selected)
    scores = [one.score for one in run.decision.candidates]
    assert route.attributes["agentmesh.route.scores"] == tuple(scores)
    assert route.attributes["agentmesh.route.propensity"] == math.exp(run.decision.log_propensity)
    assert [secret for secret in (*SECRETS, "WORDS-OF") for body in bodies(collector) if secret.encode() in body] == []


async def test_with_content_it_also_says_what_was_asked_answered_and_went_wrong(collector: FakeCollector) -> None:
    with OtelListener(collector.url, content=True) as spans:
        async with mesh_of(clerk, faulty, listener=spans, limits=Limits(max_agents=2)) as mesh:
            await mesh.run(told())
    whole, bad = collector.one("invoke_workflow"), collector.one("invoke_agent faulty")
    asked = json.loads(str(whole.attributes["gen_ai.input.messages"]))
    assert [(one["role"], one["parts"][0]["content"]) for one in asked] == [
        ("user", "WORDS-OF-A-TURN"),
        ("user", "WORDS-OF-THE-TASK"),
    ]
    [answer] = json.loads(str(whole.attributes["gen_ai.output.messages"]))
    assert answer["parts"][0]["content"] == "WORDS-OF-AN-ANSWER to 17"
    assert bad.message.startswith("ValueError: WORDS-OF-AN-ERROR")
    assert whole.resource["service.name"] == "agentmesh"
    assert [secret for secret in SECRETS if not any(secret.encode() in body for body in bodies(collector))] == []


async def test_a_run_hangs_from_the_code_that_calls_it_and_an_agents_own_spans_from_its_call(
    collector: FakeCollector,
) -> None:
    own = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(own))
    tracer = provider.get_tracer("tests")

    @agent(description="Answers questions of any kind.")
    async def traced(task: Task) -> str:
        with tracer.start_as_current_span("its own"):
            return (await mesh.run(task, agents=["clerk"])).answer or "" if task.text == "outer" else task.text

    with OtelListener(collector.url) as spans:
        async with mesh_of(traced, listener=spans) as mesh:
            with tracer.start_as_current_span("caller") as caller:
                await mesh.run("a task")
                assert trace.get_current_span() is caller
            await mesh.run("another")
    first, second = collector.named("invoke_workflow")
    inner, outer = own.get_finished_spans()[:2]
    assert outer.context is not None
    assert inner.parent is not None
    assert (first.trace, first.parent) == (f"{outer.context.trace_id:032x}", f"{outer.context.span_id:016x}")
    assert f"{inner.parent.span_id:016x}" == collector.named("invoke_agent traced")[0].id
    assert (second.parent, second.trace != first.trace) == ("", True)


async def test_a_run_that_its_caller_does_not_sample_is_not_sent(collector: FakeCollector) -> None:
    tracer = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("tests")
    with OtelListener(collector.url) as spans:
        async with mesh_of(clerk, listener=spans) as mesh:
            with tracer.start_as_current_span("caller"):
                await mesh.run("a task")
    assert (collector.spans, spans.counts.lost) == ([], 0)


async def test_stages_and_runs_inside_runs_are_one_trace(collector: FakeCollector) -> None:
    @agent(description="Answers questions of any kind.")
    async def asks_on(task: Task) -> str:
        return (await inner.run(task)).answer or "nothing"

    flow = Workflow(name="f", stages=(Stage(name="first"), Stage(name="last", after=("first",))), output="last")
    with OtelListener(collector.url) as spans:
        async with mesh_of(clerk, listener=spans) as inner, mesh_of(asks_on, listener=spans) as mesh:
            await mesh.run_workflow(flow, "a task")
    assert len({span.trace for span in collector.spans}) == 1
    runs = {str(span.attributes["agentmesh.run.id"]): span for span in collector.named("invoke_workflow")}
    by_id = {span.id: span for span in collector.spans}
    above = {span.id: by_id[span.parent].name for span in runs.values() if span.parent}
    assert sorted(above.values()) == ["invoke_agent asks_on"] * 2 + ["stage first", "stage last"]
    assert len(runs) == 5


async def test_an_approval_is_a_span_from_the_question_to_the_answer(collector: FakeCollector) -> None:
    rules = [Approval(reason="WORDS-OF-A-RULE")]
    with OtelListener(collector.url) as spans:
        async with mesh_of(clerk, listener=spans, approvals=rules) as mesh:
            waiting = await mesh.run("a task")
            await mesh.approve(waiting.id, by="WORDS-OF-A-PERSON", note="WORDS-OF-A-NOTE")
            await mesh.run("nobody approves")
    asked, whole = collector.one("approval clerk"), collector.one("invoke_workflow")
    assert inside(asked, whole)
    assert asked.attributes["agentmesh.approval.verdict"] == "approve"
    assert asked.attributes["agentmesh.approval.estimate_usd"] == 0.25
    assert [event[0] for event in whole.events] == ["agentmesh.resumed"]
    assert spans.dropped_runs == 1
    assert not any(b"WORDS-OF" in body for body in bodies(collector))


async def test_a_failed_run_is_an_error_and_one_beyond_its_budget_calls_nobody(collector: FakeCollector) -> None:
    with OtelListener(collector.url) as spans:
        async with mesh_of(faulty, listener=spans) as mesh:
            await mesh.run("a task")
            await mesh.run("another", limits=Limits(cost_usd="0.1"))
    failed, refused = collector.named("invoke_workflow")
    assert (failed.is_error, failed.attributes["error.type"]) == (True, "failed")
    assert (refused.is_error, refused.attributes["error.type"]) == (True, "over_budget")
    call = collector.named("invoke_agent")[-1]
    assert (call.attributes["agentmesh.call.status"], call.attributes["error.type"]) == ("refused", "refused")
    assert not call.is_error


@pytest.mark.parametrize("statuses", [(500,), (400,), (404,)])
async def test_spans_that_a_collector_refuses_are_counted_and_said_once(
    statuses: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with FakeCollector(statuses * 9) as collector:
        with OtelListener(collector.url) as spans:
            async with mesh_of(clerk, listener=spans) as mesh:
                assert (await mesh.run("a task")).status == "completed"
            spans.close(timeout_s=0.2)
        assert (spans.counts.sent, spans.counts.lost, spans.counts.waiting) == (0, 5, 0)
    assert len(ours(caplog)) == 1


async def test_a_collector_that_is_busy_gets_its_spans_in_the_end() -> None:
    with FakeCollector([429]) as collector:
        with OtelListener(collector.url) as spans:
            async with mesh_of(clerk, listener=spans) as mesh:
                await mesh.run("a task")
        assert (len(collector.requests), spans.counts.sent, spans.counts.lost) == (2, 5, 0)


@pytest.mark.parametrize("kind", ["down", "silent"])
async def test_no_run_waits_for_a_collector_that_does_not_answer(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    held = threading.Event()
    with FakeCollector(held=held) as collector:
        url = collector.url if kind == "silent" else "http://127.0.0.1:1"
        with OtelListener(url, most_spans=10) as spans:
            async with mesh_of(clerk, listener=spans) as mesh:
                runs = await asyncio.gather(*(mesh.run(f"task {number}") for number in range(4)))
            begun = time.monotonic()
            spans.close(timeout_s=0.1)
            assert time.monotonic() - begun < 4.5  # it is told not to take the five that it may
        assert {run.status for run in runs} == {"completed"}
        assert (spans.counts.sent, spans.counts.lost, spans.counts.waiting) == (0, 20, 0)
    assert len(ours(caplog)) == 1


async def test_runs_that_never_end_are_dropped_beyond_a_bound(collector: FakeCollector) -> None:
    with OtelListener(collector.url, most_runs=2) as spans:
        async with mesh_of(clerk, listener=spans, approvals=[Approval()]) as mesh:
            waiting = [await mesh.run(f"task {number}") for number in range(3)]
            assert spans.dropped_runs == 1
            await mesh.approve(waiting[2].id)
    assert collector.one("invoke_workflow").attributes["agentmesh.run.id"] == waiting[2].id
    assert spans.dropped_runs == 2


@pytest.mark.parametrize("number", [25, pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(120)])])
async def test_many_runs_at_once_are_all_told_in_few_requests(number: int, collector: FakeCollector) -> None:
    with OtelListener(collector.url) as spans:
        async with mesh_of(clerk, listener=spans) as mesh:
            await asyncio.gather(*(mesh.run("a task") for _ in range(number)))
    assert (spans.counts.sent, spans.counts.lost) == (5 * number, 0)
    assert len({span.id for span in collector.spans}) == 5 * number
    assert len({span.trace for span in collector.spans}) == number
    assert len(collector.requests) < 12


async def test_the_environment_says_where_and_how_spans_are_sent(
    collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k1")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from outside")
    await one_run(OtelListener())
    [request] = collector.requests
    assert (request.path, request.headers["content-encoding"]) == ("/v1/traces", "gzip")
    assert request.headers["api-key"] == "k1"
    assert collector.one("invoke_workflow").resource["service.name"] == "from outside"
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    switched_off = OtelListener()
    await one_run(switched_off)
    assert (len(collector.requests), switched_off.counts.lost, switched_off.counts.waiting) == (1, 0, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"endpoint": "localhost:4318"}, "'localhost:4318'; expected a URL"),
        ({"endpoint": "http://user:pass word@host"}, "expected a URL"),
        ({"most_spans": 0}, "most_spans is 0"),
        ({}, "cannot be set up as the environment says"),
        ({"most_runs": 0}, "most_runs is 0"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512" if options else "4096000")
    with pytest.raises(ConfigError, match=said):
        OtelListener(**options)


async def test_an_event_that_cannot_be_told_ends_no_run_and_is_logged_once(
    collector: FakeCollector, caplog: pytest.LogCaptureFixture
) -> None:
    with OtelListener(collector.url) as spans:
        for _ in range(2):
            spans(CallStarted.model_construct(run_id="r", seq=0, at="never", agent_id=3, attempt=1, wave=1))
        await one_run(spans)
    assert len(ours(caplog)) == 1
    assert len(collector.named("invoke_workflow")) == 1


async def test_what_comes_after_the_end_is_lost_and_counted(collector: FakeCollector) -> None:
    spans = OtelListener(collector.url)
    spans.close()
    spans.close()
    await one_run(spans)
    assert (spans.counts.lost, collector.spans) == (5, [])


async def test_a_run_whose_parent_is_not_known_hangs_from_where_that_would_be(collector: FakeCollector) -> None:
    with OtelListener(collector.url) as spans:
        async with mesh_of(clerk, listener=spans) as mesh:
            run = await mesh.run("a task")
            started = mesh.store.events(run.id)[0]
    parent = collector.one("invoke_workflow")
    assert isinstance(started, RunStarted)
    with FakeCollector() as other, OtelListener(other.url) as again:
        again(started.model_copy(update={"run_id": "child", "parent": run.id}))
        again(RunFinished(run_id="child", seq=1, at=started.at, status=RunStatus.CANCELLED))
        again(AnswerChunk(run_id="child", seq=2, at=started.at, agent_id="clerk", text="too late"))
        again.close()
        assert again.dropped_runs == 0
        child = other.one("invoke_workflow")
    assert (child.trace, child.parent) == (parent.trace, parent.id)


def test_a_collector_that_does_not_run_has_no_url_and_one_span_is_asked_for_by_name(collector: FakeCollector) -> None:
    with pytest.raises(ConfigError, match="not running"):
        FakeCollector().url  # noqa: B018 - the access is what is tested
    with pytest.raises(ConfigError, match="0 spans begin with 'route'"):
        collector.one("route")


async def one_run(spans: OtelListener) -> None:
    with spans:
        async with mesh_of(clerk, listener=spans) as mesh:
            await mesh.run("a task")


def bodies(collector: FakeCollector) -> Iterable[bytes]:
    return [request.body for request in collector.requests]


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("agentmesh.telemetry")]
