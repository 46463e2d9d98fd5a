"""The views show what the events say, the same on both databases, down to the names of the columns."""

import importlib.util
from pathlib import Path

import pytest

from agentmesh.events import ApprovalAsked, ApprovalGiven, CallFinished, DecisionMade, FeedbackGiven
from agentmesh.records import RunStatus
from agentmesh.store import open_store
from agentmesh.store.views import NAMES
from agentmesh.testing.traces import call, decided, end, start, whole

MAKER = Path(__file__).parents[2] / "migrations" / "make_golden.py"


def load_maker():
    spec = importlib.util.spec_from_file_location("make_golden", MAKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["sqlite", "postgres"])
def store(request, tmp_path):
    """Return a store of each kind with something of every kind in it, and texts that JSON of PostgreSQL cannot hold."""
    url = f"sqlite:///{tmp_path}/mesh.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with open_store(url) as opened:
        load_maker().fill(opened)
        broken = call("odd", 2)
        broken = broken.model_copy(update={"call": broken.call.model_copy(update={"error": "a\0b C:\\udd"})})
        half = decided("odd", 1, reason="half \ud83d of it")
        opened.append([start("odd", text="\0 \ud83d", at=5.0), half, broken, end("odd", 3, RunStatus.FAILED)])
        yield opened


def rows(store, query):
    """Return what a query finds, as dicts."""
    with store._database.reading() as connection:
        return [dict(row._mapping) for row in connection.exec_driver_sql(query)]


def events(store, kind):
    """Return all events of a kind in the order of runs and seq."""
    found = [stored.event for stored in store.tail(limit=10_000) if isinstance(stored.event, kind)]
    return sorted(found, key=lambda event: (event.run_id, event.seq))


def money(amount):
    return None if amount is None else float(amount)


def told(record, names):
    return [getattr(record, name) for name in names]


def costs(call):
    return money(call.cost_usd), money(call.nested_usd)


def test_runs_are_those_that_are_listed(store):
    found = rows(store, "SELECT * FROM v_runs ORDER BY started_at DESC, run_id DESC")
    listed = store.runs(limit=100)
    assert [(row["run_id"], row["status"], row["task"], row["cost_usd"], row["elapsed_s"]) for row in found] == [
        (run.id, run.status, run.text.replace("\ud83d", "\\ud83d"), money(run.cost_usd), run.elapsed_s)
        for run in listed
    ]
    assert {row["run_id"]: row["parent_id"] for row in found}["whole/draft"] == "whole"


def test_decisions_have_a_row_for_each_candidate_and_say_who_was_chosen(store):
    found = rows(store, "SELECT * FROM v_decisions ORDER BY run_id, seq, place")
    made = events(store, DecisionMade)
    full = next(event.decision for event in made if event.run_id == "full")
    mine = [row for row in found if row["run_id"] == "full"]
    weights = {one.agent_id: one.weight for one in full.selected}
    names = ("score", "probability", "gate", "agent_version")
    names += ("expected_quality", "expected_cost_usd", "expected_latency_s")
    assert [
        (row["place"], row["agent_id"], row["propensity"], row["selected"], row["weight"], *(row[n] for n in names))
        for row in mine
    ] == [
        (place, one.agent_id, one.inclusion, int(one.agent_id in weights), weights.get(one.agent_id), *told(one, names))
        for place, one in enumerate(full.candidates, 1)
    ]
    for name in ("router", "router_version", "registry_version", "policy", "margin", "threshold", "log_propensity"):
        assert {row[name] for row in mine} == {getattr(full, name)}
    assert {(row["explored"], row["abstained"], row["elapsed_ms"], row["reason"]) for row in mine} == {
        (1, 0, full.elapsed_ms, full.reason)
    }
    (odd,) = (row for row in found if row["run_id"] == "odd")  # no candidate was told of
    assert (odd["router"], odd["agent_id"], odd["selected"], odd["reason"]) == ("random", None, 0, "half �83d of it")


def test_calls_have_their_usage_cost_and_time(store):
    found = rows(store, "SELECT * FROM v_calls ORDER BY run_id, seq")
    made = events(store, CallFinished)
    names = ("agent_id", "agent_version", "attempt", "wave", "status", "latency_s")
    assert [
        tuple(row[n] for n in ("run_id", "seq", "at", *names, "cost_usd", "nested_usd", "retryable")) for row in found
    ] == [
        (*told(event, ("run_id", "seq", "at")), *told(event.call, names), *costs(event.call), int(event.call.retryable))
        for event in made
    ]
    usage = [None if event.call.answer is None else event.call.answer.usage for event in made]
    assert [row["input_tokens"] for row in found] == [None if one is None else one.input_tokens for one in usage]
    assert [row["output_tokens"] for row in found] == [None if one is None else one.output_tokens for one in usage]
    errors = {row["run_id"]: row["error"] for row in found}
    assert (errors["failed"], errors["odd"]) == ("the endpoint said 503", "a�b C:\\udd")


def test_feedback_and_experiences_are_those_that_are_stored(store):
    given = [
        (event.run_id, event.feedback.agent_id, event.feedback.source, event.feedback.score)
        for event in events(store, FeedbackGiven)
    ]
    assert [
        tuple(row.values())[0:1] + tuple(row.values())[3:] for row in rows(store, "SELECT * FROM v_feedback")
    ] == given
    names = ("sequence", "run_id", "agent_id", "source", "at", "agent_version", "quality", "latency_s", "propensity")
    names += ("weight", "embedder", "stage", "previous")
    assert [
        (*(row[n] for n in names), row["cost_usd"])
        for row in rows(store, "SELECT * FROM v_experiences ORDER BY sequence")
    ] == [(*(getattr(one, n) for n in names), money(one.cost_usd)) for one in store.experiences()]


def test_what_a_person_was_asked_stands_beside_what_was_said(store):
    (asked,), (given,) = events(store, ApprovalAsked), events(store, ApprovalGiven)
    (row,) = rows(store, "SELECT * FROM v_approvals")
    assert row == {
        "run_id": asked.run_id,
        "agent_id": "ada",
        "wave": 1,
        "asked_at": asked.at,
        "estimate_usd": 0.0002,
        "reason": asked.request.reason,
        "expires_at": asked.request.expires_at,
        "given_at": given.at,
        "verdict": "edit",
        "by": "eve",
        "note": "é",
    }


def test_agents_and_states_of_routers_are_those_that_are_stored(store):
    cards = rows(store, "SELECT * FROM v_agent_versions ORDER BY agent_id")
    assert [(one["agent_id"], one["version"], one["description"], one["price_per_call_usd"]) for one in cards] == [
        ("ada", 2, "Solves arithmetic.", 0.0002),
        ("bob", 1, "Guesses.", None),
    ]
    assert [(one["agent_group"], one["skills"]) for one in cards] == [(None, '["math"]'), ("general", "[]")]
    states = rows(store, "SELECT router, sequence, bytes FROM v_router_states ORDER BY sequence")
    assert states[0] == {"router": "kernel", "sequence": 2, "bytes": 6}


def test_all_views_have_the_same_columns_on_both_databases(tmp_path, postgres_url):
    def columns(store, name):
        with store._database.reading() as connection:
            return list(connection.exec_driver_sql(f"SELECT * FROM {name}").keys())  # noqa: S608 - our own names

    with open_store(f"sqlite:///{tmp_path}/mesh.db") as one, open_store(postgres_url) as other:
        other.append(whole("r"))
        assert {name: columns(one, name) for name in NAMES} == {name: columns(other, name) for name in NAMES}
