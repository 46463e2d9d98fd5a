"""The router commands, run as the console script runs them, on databases with and without trails."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agentmesh import open_store
from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.embed.static import StaticEmbedder
from agentmesh.learning.learner import state_key
from agentmesh.packing import pack_vector
from agentmesh.records import Experience, Feedback, LearningFault
from agentmesh.routing.named import router_named
from agentmesh.routing.state import unpack_state
from agentmesh.routing.state_file import read_card, read_router
from agentmesh.testing.stores import whole

DB = "sqlite:///agentmesh.db"

TALLY = '''
"""A router that keeps the mean of each agent for each type hint, and shows them as trails."""

import numpy as np

from agentmesh.routing.base import ScoringRouter
from agentmesh.routing.prices import by_card
from agentmesh.routing.trails import Edge, TrailMap


class TallyRouter(ScoringRouter):
    name = "tally"

    def __init__(self):
        super().__init__()
        self.sums = {}

    def estimate(self, features, pool):
        return by_card(np.zeros(len(pool)), features, pool)

    def _learn(self, experience):
        if experience.agent_id == "unlearnable":
            raise ValueError("no")
        key = (experience.type_hints[0], experience.agent_id)
        count, total = self.sums.get(key, (0, 0.0))
        self.sums[key] = (count + 1, total + experience.quality)

    def _arrays(self):
        return {"sums": np.array([list(pair) for pair in self.sums.values()], dtype=np.float64).reshape(-1, 2)}

    def _meta(self):
        return {"keys": [list(key) for key in self.sums]}

    def _load(self, arrays, meta):
        self.sums = {tuple(key): tuple(pair) for key, pair in zip(meta["keys"], arrays["sums"].tolist())}

    def trails(self):
        types = tuple(dict.fromkeys(kind for kind, _ in self.sums))
        agents = tuple(dict.fromkeys(agent for _, agent in self.sums))
        cells = np.array([[self.sums.get((kind, agent), (0, 0.0)) for agent in agents] for kind in types])
        cells = cells.reshape(len(types), len(agents), 2)
        trail = (cells[:, :, 1] + 1) / (cells[:, :, 0] + 2)
        share = cells[:, :, 0].sum(axis=1) / max(cells[:, :, 0].sum(), 1)
        edges = tuple(Edge(0, "", agent) for agent in agents)
        return TrailMap(types, edges, trail, cells[:, :, 0], share, 0.0, 1.0, self._at)
'''


@pytest.fixture
def tally(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a router with trails as another distribution would, and return its name."""
    site = folder / "site"
    info = site / "tally_router-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tally-router\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[agentmesh.routers]\ntally = tally_router:TallyRouter\n")
    (site / "tally_router.py").write_text(TALLY)
    monkeypatch.syspath_prepend(str(site))
    return "tally"


OUTCOMES = (("sums", "ada", 1.0), ("sums", "bob", 0.0), ("dates", "bob", 1.0), ("sums", "ada", 1.0))


def teach(name: str, outcomes=OUTCOMES, *, db: str = DB) -> str:
    """Store a router's parameters and one experience for each outcome; return the hash of the parameters."""
    router, embedder = router_named(name), StaticEmbedder()
    with open_store(db) as store:
        store.put_router(name, router.parameters_hash, json.dumps(dict(router.parameters)))
        first = store.count_runs() + 1
        for place, (kind, agent, quality) in enumerate(outcomes, start=first):
            run_id, text = f"r{place}", f"{kind} {place}"
            known = {"embedder": embedder.version, "type_hints": (kind,), "at": float(place)}
            vector = pack_vector(embedder.embed([text])[0])
            lesson = Experience(run_id=run_id, text=text, vector=vector, agent_id=agent, quality=quality, **known)
            started = [event.model_copy(update={"embedder": embedder.version}) for event in whole(run_id)[:1]]
            store.append([*started, *whole(run_id)[1:]])
            store.add_feedback(Feedback(run_id=run_id, score=quality, at=float(place)), [lesson])
    return router.parameters_hash


def keep_state(name: str, until: int, *, db: str = DB) -> None:
    """Store the state of a router after experience ``until``."""
    router = router_named(name)
    with open_store(db) as store:
        for experience in store.experiences(until=until):
            router.learn(experience)
        key = state_key(name, StaticEmbedder().version)
        store.put_state(router.snapshot().model_copy(update={"router": key}))


def damage(statement: str) -> None:
    with closing(sqlite3.connect("agentmesh.db")) as connection, connection:
        connection.execute(statement)


def test_show_draws_the_trails_of_a_router_that_has_them(command, tally):
    parameters = teach(tally)
    outcome = command("router", "show", tally)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].startswith(f"router 'tally' (parameters {parameters}, embedder static-")
    assert lines[1] == f"version {parameters}@4"
    assert "sums   75%  [7]  3  " in lines
    assert "dates  25%   ·  [6] " in lines
    assert "  0.750  sums: ada  (evidence 2)" in lines


def test_show_says_what_changed_since_a_version(command, tally):
    parameters = teach(tally)
    outcome = command("router", "show", tally, "--since", f"{parameters}@1")
    assert f"Changed since {parameters}@1" in outcome.out
    assert "  new types: dates" in outcome.out
    assert "  new agents: bob" in outcome.out
    assert "  0.667 -> 0.750  sums: ada  (1 -> 2 outcomes)" in outcome.out
    assert "  - -> 0.667  dates: bob  (0 -> 1 outcomes)" in outcome.out
    again = command("router", "show", tally, "--since", f"{parameters}@4")
    assert f"Changed since {parameters}@4\n  nothing" in again.out


def test_show_at_a_version_shows_it_as_it_was(command, tally):
    parameters = teach(tally)
    found = command("router", "show", tally, "--version", f"{parameters}@1", "--json").json
    assert (found["version"], found["trails"]["types"], found["trails"]["evidence"]) == (
        f"{parameters}@1",
        ["sums"],
        [[1.0]],
    )


def test_show_as_json_holds_everything(command, tally):
    teach(tally)
    found = command("router", "show", tally, "--json").json
    assert set(found) == {
        "stored",
        "version",
        "arguments",
        "training",
        "cascade",
        "trails",
        "strongest",
        "since",
        "changes",
        "faults",
        "passed_over",
        "error",
    }
    assert found["trails"]["edges"][0] == {"stage": 0, "previous": "", "agent_id": "ada"}
    assert found["strongest"][0]["type"] == "sums"


def test_show_of_a_router_without_trails_says_what_its_state_says(command):
    parameters = teach("kernel")
    keep_state("kernel", 2)
    outcome = command("router", "show", "kernel")
    assert outcome.code == 0
    assert f"version {parameters}@4" in outcome.out
    assert "built with " in outcome.out
    assert "curiosity" in outcome.out
    assert f"  {parameters}@2  1970-01-01 00:00:02Z" in outcome.out


def test_show_without_a_name_lists_the_routers(command):
    parameters = teach("kernel")
    keep_state("kernel", 2)
    outcome = command("router", "show")
    [head, row] = outcome.out.splitlines()
    assert head.split("\t") == ["router", "parameters", "embedder", "newest stored", "at", "marks"]
    assert row.split("\t")[3:] == [f"{parameters}@2", "1970-01-01 00:00:02Z", "0"]
    [found] = command("router", "show", "--json").json
    assert (found["name"], found["root"], found["sequence"]) == ("kernel", parameters, 2)


def test_a_database_without_routers_says_so(command):
    with open_store(DB) as store:
        store.append(whole("r"))
    assert command("router", "show").out == "No router is stored here yet.\n"
    assert command("router", "show", "--json").json == []


def test_show_of_a_router_that_is_not_stored_exits_1_and_names_those_that_are(command):
    teach("kernel")
    outcome = command("router", "show", "linear")
    assert (outcome.code, outcome.out) == (1, "")
    assert "no router 'linear' is stored" in outcome.err
    assert "'kernel'" in outcome.err


@pytest.mark.parametrize("option", ["--version", "--since"])
@pytest.mark.parametrize(("version", "said"), [("x", "is no version"), ("abc@1", "never was"), ("abc@99", "not there")])
def test_a_version_that_cannot_be_used_exits_2(command, option, version, said):
    teach("kernel")
    outcome = command("router", "show", "kernel", option, version)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err


def test_show_lists_learning_faults(command):
    teach("kernel")
    with open_store(DB) as store:
        store.add_fault(LearningFault(at=60.0, run_id="r1", source="judge:x", message="prose\x1b[31m"))
    outcome = command("router", "show", "kernel")
    assert "  1970-01-01 00:01:00Z  judge:x  r1  prose\\x1b[31m" in outcome.out


def test_show_mentions_others_of_the_same_name(command):
    teach("kernel")
    other = router_named("kernel", {"curiosity": 0.0})
    with open_store(DB) as store:
        store.put_router("kernel", other.parameters_hash, json.dumps(dict(other.parameters)))
    outcome = command("router", "show", "kernel")
    assert outcome.code == 0
    assert "there is also router 'kernel' (parameters " in outcome.err
    chosen = command("router", "show", "kernel", "--parameters", other.parameters_hash)
    assert chosen.err == ""
    assert f"parameters {other.parameters_hash}" in chosen.out


def test_a_damaged_state_is_passed_over_and_told(command, tally):
    parameters = teach(tally)
    keep_state(tally, 2)
    damage("UPDATE router_states SET payload = x'00'")
    outcome = command("router", "show", tally)
    assert outcome.code == 0
    assert f"version {parameters}@4" in outcome.out
    assert "States that could not be read and were not needed" in outcome.out


def test_a_state_of_a_newer_agentmesh_that_is_needed_is_an_error_and_the_rest_is_shown(command, recorded_set):
    command("router", "train", "category", "--from", recorded_set, "--db", DB)
    damage("UPDATE router_states SET payload = x'00'")
    outcome = command("router", "show", "category")
    assert outcome.code == 1
    assert "Error: router 'category' cannot be rebuilt at" in outcome.err
    assert "Marks, newest first" in outcome.out
    assert command("router", "show", "category", "--json").json["error"].startswith("router 'category' cannot be")


def test_more_than_a_few_states_are_cut(command):
    teach("kernel", OUTCOMES * 3)
    for until in range(1, 12):
        keep_state("kernel", until)
    assert "  and 3 more" in command("router", "show", "kernel").out


def test_train_from_a_set_prints_what_was_learned_and_show_finds_it(command, recorded_set):
    outcome = command("router", "train", "category", "--from", recorded_set, "--db", DB)
    assert (outcome.code, outcome.err) == (0, "")
    first, second, third = outcome.out.splitlines()
    assert first == f"category has learned 36 outcomes of 2 agents on 18 tasks from {recorded_set}"
    assert second.startswith("checked on 6 val tasks, fitted on train alone: quality ")
    assert third.endswith(" from here on")
    version = third.split()[1]
    shown = command("router", "show", "category")
    assert f"version {version}" in shown.out
    assert "trained  36 outcomes of 18 tasks in " in shown.out


def test_train_takes_arguments_and_tells_all_as_json(command, recorded_set):
    arguments = ("--set", "clusters=4", "--set", "mixture=hard", "--embedder", "hashing")
    found = command("router", "train", "category", "--from", recorded_set, "--db", DB, *arguments, "--json").json
    built = router_named("category", {"clusters": 4, "mixture": "hard"})
    assert found["mark"]["root"] == built.parameters_hash
    assert found["version"] == f"{found['mark']['parameters']}@1"
    assert found["embedder"] == HashingEmbedder().version
    assert found["held_out"]["tasks"] == 6
    shown = command("router", "show", "category", "--json").json
    assert shown["arguments"]["clusters"] == 4


def test_a_mesh_that_opens_serves_from_what_was_trained(command, recorded_set, folder, monkeypatch):
    version = command("router", "train", "category", "--from", recorded_set, "--db", DB, "--json").json["version"]
    app = (folder / "app.py").read_text().replace("explore=0)", 'explore=0, router="category")')
    (folder / "trained_app.py").write_text(app)
    decision = command("route", "add 3 and 2", "--app", "trained_app:build", "--json").json
    assert decision["router_version"] == version


def test_train_from_a_database_says_what_could_not_be_learned(command, tally):
    teach(tally, (*OUTCOMES, ("sums", "unlearnable", 1.0)), db="sqlite:///other.db")
    outcome = command("router", "train", tally, "--from", "sqlite:///other.db", "--db", DB)
    assert outcome.code == 0
    assert "tally has learned 4 outcomes of 2 agents on 4 tasks from sqlite:///other.db" in outcome.out
    assert "1 experiences could not be learned" in outcome.out
    shown = command("router", "show", tally, "--json").json
    assert shown["trails"]["evidence"] == [[2.0, 1.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["category", "--from", "nowhere"], 1, "nowhere"),
        (["category", "--from", "sqlite:///nowhere.db"], 1, "nowhere.db"),
        (["nope", "--from", "nowhere"], 1, "'nope'"),
        (["category"], 2, "--from"),
        (["category", "--from", "nowhere", "--set", "clusters"], 2, "'clusters' cannot be read"),
        (["category", "--from", "nowhere", "--set", "nope=1"], 2, "nope"),
        (["category", "--from", "nowhere", "--set", "clusters=0"], 2, "clusters is 0"),
        (["category", "--from", "nowhere", "--embedder", "nope"], 1, "'nope'"),
        (["category", "--from", "nowhere", "--db", "nope"], 2, "'nope' names no store"),
    ],
)
def test_train_names_what_it_cannot_use(command, arguments, code, said):
    outcome = command("router", "train", *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err.splitlines()[-1]
    assert not Path("agentmesh.db").exists()


def test_train_tells_of_a_database_it_cannot_use_before_it_reads_anything(command, folder):
    (folder / "no.db").write_text("this is no database, whatever it is called" * 50)
    for url, said in (("sqlite:///no.db", "no.db"), ("sqlite:///nowhere/x.db", "nowhere")):
        outcome = command("router", "train", "category", "--from", "absent", "--db", url)
        assert outcome.code == 1
        assert said in outcome.err
        assert "absent" not in outcome.err


def test_reset_and_rollback_set_marks(command, tally):
    parameters = teach(tally)
    reset = command("router", "reset", tally, "--yes")
    assert (reset.code, reset.out.split(": ")[1]) == (0, f"version {parameters}@5 holds from here on\n")
    assert command("router", "show", tally, "--json").json["trails"]["types"] == []
    back = command("router", "rollback", tally, f"{parameters}@4", "--yes", "--json").json
    assert (back["version"], back["mark"]["kind"], back["mark"]["target"]) == (f"{parameters}@6", "rollback", 4)
    shown = command("router", "show", tally)
    assert "sums   75%  [7]  3  " in shown.out
    assert f"  {parameters}@6" in shown.out
    assert "rollback to 4" in shown.out
    text = command("router", "rollback", tally, f"{parameters}@1", "--yes")
    assert "is back at 1: version" in text.out


@pytest.mark.parametrize("arguments", [["reset", "kernel"], ["rollback", "kernel", "VERSION"]])
def test_where_nobody_can_be_asked_it_exits_2_and_changes_nothing(command, arguments, monkeypatch, folder):
    parameters = teach("kernel")
    (folder / "empty").write_text("")
    with (folder / "empty").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        outcome = command("router", *(word.replace("VERSION", f"{parameters}@1") for word in arguments))
    assert (outcome.code, outcome.out) == (2, "")
    assert "give --yes" in outcome.err
    assert command("router", "show", "kernel", "--json").json["stored"]["marks"] == []


class Person:
    """Somebody at a terminal who types one line."""

    def __init__(self, line: str) -> None:
        self.line = line

    def isatty(self) -> bool:
        return True

    def readline(self, *size: int) -> str:
        return self.line


@pytest.mark.parametrize(("typed", "code", "marks"), [("y\n", 0, 1), ("n\n", 1, 0)])
@pytest.mark.parametrize("arguments", [["reset", "kernel"], ["rollback", "kernel", "VERSION"]])
def test_at_a_terminal_the_person_is_asked(command, arguments, typed, code, marks, monkeypatch):
    parameters = teach("kernel")
    monkeypatch.setattr("sys.stdin", Person(typed))
    outcome = command("router", *(word.replace("VERSION", f"{parameters}@1") for word in arguments))
    assert outcome.code == code
    assert "kernel" in outcome.err
    assert len(command("router", "show", "kernel", "--json").json["stored"]["marks"]) == marks


def test_a_change_does_not_guess_between_several(command):
    first = teach("kernel")
    other = router_named("kernel", {"curiosity": 0.0})
    with open_store(DB) as store:
        store.put_router("kernel", other.parameters_hash, "{}")
    outcome = command("router", "reset", "kernel", "--yes")
    assert outcome.code == 2
    assert first in outcome.err
    assert command("router", "reset", "kernel", "--parameters", first, "--yes").code == 0


def test_export_prints_trails_as_json_and_writes_them(command, tally):
    parameters = teach(tally)
    found = command("router", "export", tally).json
    assert (found["router"], found["version"], found["sequence"], found["at"]) == ("tally", f"{parameters}@4", 4, 4.0)
    assert found["trails"]["types"] == ["sums", "dates"]
    outcome = command("router", "export", tally, "--out", "tally.json", "--version", f"{parameters}@1")
    assert (outcome.code, outcome.out) == (0, "")
    assert "is written to 'tally.json'" in outcome.err
    assert json.loads(Path("tally.json").read_text())["version"] == f"{parameters}@1"


def test_export_of_a_router_without_trails_has_none(command):
    teach("kernel")
    assert command("router", "export", "kernel", "--json").json["trails"] is None


def test_export_writes_the_state_itself(command, tally):
    teach(tally)
    assert command("router", "export", tally, "--format", "safetensors", "--out", "t.safetensors").code == 0
    arrays, _ = unpack_state(Path("t.safetensors").read_bytes())
    assert arrays["sums"].tolist() == [[2.0, 2.0], [1.0, 0.0], [1.0, 1.0]]


def test_beside_an_exported_state_stands_a_card_that_names_its_version_and_embedder(command, tally):
    parameters = teach(tally)
    version = f"{parameters}@1"
    command("router", "export", tally, "--format", "safetensors", "--out", "t.safetensors", "--version", version)
    card = read_card(Path("t.safetensors"))
    assert (card.router, card.version, card.embedder) == ("tally", version, StaticEmbedder().version)


def test_an_exported_state_is_read_back_as_a_router_that_counts_from_0(command, tally):
    parameters = teach(tally)
    command("router", "export", tally, "--format", "safetensors", "--out", "t.safetensors")
    router = read_router(Path("t.safetensors"))
    assert router.snapshot().payload != b""
    assert (router.name, router.sequence) == ("tally", 0)
    assert router.base.startswith(f"{parameters}@4 ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "safetensors"], "with --out FILE"),
        (["--format", "safetensors", "--out", "x", "--json"], "without --json"),
        (["--format", "safetensors", "--out", "x.pt"], "ends in '.safetensors'"),
        (["--out", "no/such/folder/x.json"], "cannot be written"),
        (["--version", "x"], "is no version"),
    ],
)
def test_export_names_what_it_cannot_use(command, arguments, said):
    teach("kernel")
    outcome = command("router", "export", "kernel", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err.splitlines()[-1]


@pytest.mark.parametrize("words", [["show"], ["reset", "kernel", "--yes"], ["export", "kernel"]])
def test_a_database_that_is_missing_is_an_error_and_not_made(command, words, folder):
    outcome = command("router", *words, "--db", "sqlite:///nowhere.db")
    assert (outcome.code, outcome.out) == (1, "")
    assert not (folder / "nowhere.db").exists()


def test_a_router_that_was_reset_learns_the_whole_log_again_when_it_is_trained_on_it(command, tally):
    teach(tally)
    before = command("router", "show", tally, "--json").json["trails"]
    command("router", "reset", tally, "--yes")
    assert command("router", "train", tally, "--from", DB, "--db", DB).code == 0
    assert command("router", "show", tally, "--json").json["trails"] == before
