"""``agentmesh telemetry``: a stored run reaches a collector, and who follows a database sees what comes."""

import os
import signal
import threading

import pytest

from agentmesh.testing.otlp import FakeCollector

MATH = "What is 12 * 7, an arithmetic word problem?"


@pytest.fixture(autouse=True)
def no_opentelemetry_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def test_a_run_is_sent_by_the_beginning_of_its_id_or_by_its_time(command, run_id):
    with FakeCollector() as collector:
        sent = command("telemetry", "send", run_id[:14], "--endpoint", collector.url, "--service", "shop", "--json")
        assert (sent.code, sent.json) == (0, {"runs": 1, "spans": len(collector.spans), "lost": 0}), sent.err
        assert collector.one("invoke_workflow").attributes["agentmesh.run.id"] == run_id
        assert collector.one("invoke_workflow").resource["service.name"] == "shop"
        assert MATH.encode() not in collector.requests[0].body
        again = command("telemetry", "send", "--since", "0", "--content", "--endpoint", collector.url)
        assert (again.code, again.out) == (0, f"{len(collector.spans) // 2} spans of 1 runs sent\n")
        assert MATH.encode() in collector.requests[-1].body
        assert len({span.id for span in collector.spans}) == len(collector.spans) // 2


def test_who_follows_sees_what_was_stored_and_what_comes(command, run_id):
    with FakeCollector() as collector:
        done = command("telemetry", "follow", "--since", "0", "--for", "0.01", "--endpoint", collector.url, "--json")
        assert (done.code, done.json["runs"]) == (0, 1), done.err
        done = command("telemetry", "follow", "--for", "0.01", "--endpoint", collector.url)
        assert (done.code, done.out) == (0, "0 spans of 0 runs sent\n")


def test_who_is_interrupted_while_following_has_sent_what_came(command, run_id, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    with FakeCollector() as collector:

        def interrupt() -> None:
            collector.asked.wait()
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        done = command("telemetry", "follow", "--since", "0", "--endpoint", collector.url, "--json")
        thread.join()
    assert (done.code, done.json["spans"]) == (130, len(collector.spans))
    assert collector.one("invoke_workflow").attributes["agentmesh.run.id"] == run_id


def test_spans_that_the_collector_refuses_are_told_by_the_exit_code(command, run_id):
    with FakeCollector([400] * 9) as collector:
        sent = command("telemetry", "send", run_id, "--endpoint", collector.url)
    assert (sent.code, sent.out) == (1, "0 spans of 1 runs sent\n")
    assert "spans were lost: the collector did not take them" in sent.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["send"], "name a RUN, or give --since"),
        (["send", "x", "--endpoint", "localhost"], "'localhost'; expected a URL"),
        (["follow", "--for", "0"], "is not a number above 0"),
    ],
)
def test_what_cannot_be_used_is_a_wrong_use(command, run_id, arguments, said):
    outcome = command("telemetry", *arguments)
    assert outcome.code == 2
    assert said in outcome.err


def test_a_run_that_is_not_stored_is_named(command, run_id):
    outcome = command("telemetry", "send", "zzz", "--endpoint", "http://127.0.0.1:1")
    assert outcome.code == 1
    assert "zzz" in outcome.err
