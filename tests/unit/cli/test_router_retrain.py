"""``agentmesh router retrain``, run as the console script runs it, on databases in which something was learned."""

import json
import shlex
from typing import Any

import numpy as np
import pytest

from agentmesh import open_store
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.learning.learner import state_key
from agentmesh.learning.versions import find_routers, put_router_mark, router_at
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Feedback, RouterMark
from agentmesh.routing.base import Outcomes
from agentmesh.routing.category import CategoryRouter
from agentmesh.routing.similarity import CosineRouter
from agentmesh.testing.stores import whole

DB = "sqlite:///agentmesh.db"
EMBEDDER = HashingEmbedder()
KINDS, AGENTS = ("sums", "rhymes"), ("adder", "poet")


def misled() -> None:
    """Let a category router serve that was fitted on a table in which everything is the wrong way round."""
    router = CategoryRouter()
    with open_store(DB) as store:
        store.put_router("category", router.parameters_hash, json.dumps(dict(router.parameters)))
        quality = 1.0 - np.tile(np.eye(2), (100, 1))
        texts = tuple(f"task {place}" for place in range(200))
        table = Outcomes(AGENTS, EMBEDDER.embed(texts), texts, KINDS * 100, quality, np.full(quality.shape, np.nan))
        root = router.parameters_hash
        router.fit(table)
        key = state_key("category", EMBEDDER.version)
        put_router_mark(store, RouterMark(router=key, root=root, parameters="", kind="trained", at=0.0), router)


def known() -> None:
    """Let a category router be known that has learned nothing yet."""
    router = CategoryRouter()
    with open_store(DB) as store:
        store.put_router("category", router.parameters_hash, json.dumps(dict(router.parameters)))


def teach(runs: int, **more: Any) -> None:
    """Store runs in which both agents were called and scored."""
    with open_store(DB) as store:
        for place in range(runs):
            run_id, kind = f"r{place}", KINDS[place % 2]
            events = whole(run_id, at=float(place))
            store.append([events[0].model_copy(update={"embedder": EMBEDDER.version}), *events[1:]])
            shared = {"embedder": EMBEDDER.version, "propensity": 1.0, "at": float(place), **more}
            vector = pack_vector(EMBEDDER.embed([f"{kind} {place}"])[0])
            lessons = [
                Experience(
                    run_id=run_id,
                    text=f"{kind} {place}",
                    vector=vector,
                    agent_id=agent,
                    quality=float(right == kind),
                    type_hints=(kind,),
                    **shared,
                )
                for agent, right in zip(AGENTS, KINDS, strict=True)
            ]
            store.add_feedback(Feedback(run_id=run_id, score=1.0, at=float(place)), lessons)


def version() -> str:
    with open_store(DB, read_only=True) as store:
        return router_at(store, find_routers(store, "category")[0]).version


def test_a_better_router_is_promoted_and_the_way_back_is_told(command):
    misled()
    teach(60)
    before = version()
    outcome = command("router", "retrain", "category", "--held-back", "0.4", "--db", DB)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].endswith("embedder hashing-1-512): fitted anew on 72 of 120 outcomes")
    assert lines[1] == "compared on 24 tasks that were held back:"
    assert lines[2].startswith("  serving ")
    assert lines[2].endswith(": quality 0.000, effective sample size 24.0")
    assert lines[3].endswith(": quality 1.000, effective sample size 24.0")
    assert lines[4] == "  difference +1.000, 95 % interval +1.000 to +1.000"
    assert lines[5] == f"promoted: version {version()} holds from here on"
    assert lines[6] == f"to go back: agentmesh router rollback category {before} --db {DB}"
    back = command(*shlex.split(lines[6].removeprefix("to go back: agentmesh ")), "--yes")
    assert back.code == 0, back.err
    assert version().startswith(before.partition("@")[0])


def test_a_router_that_is_no_better_is_kept_which_is_no_failure(command):
    known()
    teach(60)
    outcome = command("router", "retrain", "category", "--held-back", "0.4")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-2:] == [
        "  difference +0.000, 95 % interval +0.000 to +0.000",
        "kept: not better; the lower end of the interval must lie above the margin",
    ]


def test_too_few_outcomes_are_said_to_be_too_few(command):
    known()
    teach(3)
    outcome = command("router", "retrain", "category")
    assert outcome.code == 0
    assert outcome.out.splitlines()[1] == (
        "kept: too few outcomes; 30 must have come since what serves was set, and 30 before those"
    )


def test_unknown_chances_are_said_to_give_too_little_support(command):
    known()
    teach(40, propensity=None)
    lines = command("router", "retrain", "category").out.splitlines()
    assert lines[2].endswith(": quality not known, effective sample size 0.0")
    assert lines[4].startswith("kept: too little support; ")


def test_by_force_it_is_promoted_and_the_mark_says_so(command):
    known()
    teach(60)
    outcome = command("router", "retrain", "category", "--force", "--embedder", "hashing")
    assert outcome.code == 0
    assert "promoted by force (too little support): version " in outcome.out
    assert outcome.out.rstrip().endswith(" --embedder hashing")
    shown = command("router", "show", "category")
    assert "  trained  forced, too little support: fitted anew on 90 outcomes; 1.000 instead of 1.000" in shown.out


def test_without_support_the_difference_has_no_interval(command):
    known()
    teach(3)
    found = command("router", "retrain", "category", "--force")
    assert "promoted by force (too few outcomes)" in found.out
    assert "compared" not in found.out


def test_as_json_all_of_it_is_told(command):
    misled()
    teach(60)
    outcome = command("router", "retrain", "category", "--held-back", "0.4", "--margin", "0.5", "--json")
    assert outcome.code == 0
    found = outcome.json
    assert (found["promoted"], found["reason"], found["margin"]) == (True, "", 0.5)
    assert found["version"] == version()
    assert found["comparison"]["interval"] == [1.0, 1.0]
    assert found["comparison"]["candidate"]["effective"] == 24.0
    assert found["rollback"] == f"agentmesh router rollback category {found['replaced']}"


def test_as_json_nothing_leads_back_from_what_was_kept(command):
    known()
    teach(1)
    found = command("router", "retrain", "category", "--json").json
    assert (found["promoted"], found["reason"], found["rollback"]) == (False, "too few outcomes", None)


@pytest.mark.parametrize("name", ["kernel", "category"])
def test_a_router_that_is_not_stored_or_knows_nothing_is_an_error(command, name):
    known()
    outcome = command("router", "retrain", name)
    assert outcome.code in (1, 2)
    assert outcome.err.startswith("Error: ")


def test_a_router_that_is_not_fitted_is_refused(command):
    with open_store(DB) as store:
        store.put_router("cosine", CosineRouter().parameters_hash, "{}")
    teach(1)
    outcome = command("router", "retrain", "cosine")
    assert outcome.code == 2
    assert "Error: router 'cosine' is not fitted on outcomes" in outcome.err


@pytest.mark.parametrize("share", ["0", "1", "x"])
def test_a_share_that_is_none_is_used_wrongly(command, share):
    assert command("router", "retrain", "category", "--held-back", share).code == 2


def test_a_missing_database_is_an_error_and_is_not_made(command, folder):
    outcome = command("router", "retrain", "category")
    assert outcome.code == 1
    assert not (folder / "agentmesh.db").exists()
