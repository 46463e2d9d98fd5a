"""Traces out of one store and into another: the same there, taken in once, and refused where they are damaged."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmesh.errors import AgentMeshError, ExchangeError, SchemaVersionError, StoreError
from agentmesh.events import Event
from agentmesh.exchange import Carried, Taken, export_runs, import_runs
from agentmesh.records import AgentCard, RegistrySnapshot
from agentmesh.store import MemoryStore, RunFilter, TraceStore, open_store
from agentmesh.testing import strategies as draw
from agentmesh.testing.traces import call, end, lesson, mark, score, start, state, whole

HARD = 'half \ud83d, whole 👍, nul \0, dle \x10\x11\x12, line \u2028 end \n, "quoted" \\ and {"record":"end"}'


def filled(store: TraceStore) -> TraceStore:
    """Fill a store with all that one can hold."""
    store.put_registry(RegistrySnapshot(version="r", cards=(AgentCard(id="ada", description="Adds."),)))
    store.put_router("kernel", "abc", '{"k": 3}')
    store.append([*whole("late", at=2), *whole("early", text=HARD, at=1)])
    store.add_feedback(score("early"), [lesson("early").model_copy(update={"text": HARD})])
    store.put_mark(mark(), state(0, payload=b"\xff\x00set"))
    store.add_feedback(score("late", 0.5), [lesson("late", 0.5)])
    store.put_state(state(3, payload=b"\xfflearned"))
    store.append([start("open", at=3)])
    return store


def content(store: TraceStore) -> object:
    """Return all that a store holds, in an order of its own."""
    routers = [(name, key, store.router_parameters(name, key)) for name, key in store.routers()]
    states = [
        store.nearest_state(name, key, until=at) for name, key in store.routers() for at, _ in store.states(name, key)
    ]
    return list(store.traces()), store.experiences(), store.every_mark(), routers, states, store.latest_cards()


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    export_runs(filled(MemoryStore()), tmp_path / "all.jsonl")
    return tmp_path / "all.jsonl"


@pytest.fixture(params=["sqlite", "postgres"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], TraceStore]:
    """Return what opens one database again and again."""
    url = f"sqlite:///{tmp_path}/mesh.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return lambda: open_store(url)


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz", "folder"])
def test_what_is_exported_is_the_same_in_the_store_that_takes_it_in(name, new_store, tmp_path):
    source = filled(MemoryStore())
    told = export_runs(source, tmp_path / name)
    assert told == Carried(runs=3, events=9, experiences=2, marks=1, states=2)
    with new_store() as target:
        assert import_runs(target, tmp_path / name) == Taken(runs=3, events=9, learned=3, states=1)
        assert content(target) == content(source)
        assert target.check() == []
        assert import_runs(target, tmp_path / name) == Taken(known=3)
        assert content(target) == content(source)
        export_runs(target, tmp_path / "again.jsonl")
    export_runs(source, tmp_path / "first.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "first.jsonl").read_bytes()


@settings(max_examples=3)
@given(logs=st.lists(draw.traces(), max_size=3, unique_by=lambda log: log[0].run_id), text=st.text(st.characters()))
def test_any_event_and_any_text_survive_the_way_out_and_in(logs, text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("law")
    source, target = MemoryStore(), open_store(f"sqlite:///{folder}/mesh.db")
    source.append([*whole("\N{SNOWMAN}", text=text), *(event for log in logs if log[0].run_id != "☃" for event in log)])
    export_runs(source, folder / "law.jsonl.gz")
    with target:
        import_runs(target, folder / "law.jsonl.gz")
        assert list(target.traces()) == list(source.traces())


@pytest.mark.parametrize("text", [HARD, "\ud83d" * 9, "x" * 1_000_000, "\0", "'; DROP TABLE runs; --", "\u202e\ufeff"])
def test_hard_texts_survive_on_both_databases(text, new_store, tmp_path):
    source = MemoryStore()
    source.append(whole("r", text=text))
    export_runs(source, tmp_path / "hard.jsonl.gz")
    with new_store() as target:
        import_runs(target, tmp_path / "hard.jsonl.gz")
        assert target.events("r") == source.events("r")


def test_a_filter_takes_its_runs_and_those_they_started_and_all_that_was_learned(tmp_path):
    source = filled(MemoryStore())
    source.append([start("child", at=4).model_copy(update={"parent": "late"})])
    assert export_runs(source, tmp_path / "some.jsonl", where=RunFilter(prefix="late")).runs == 2
    target = MemoryStore()
    import_runs(target, tmp_path / "some.jsonl")
    assert [log[0].run_id for log in target.traces()] == ["late", "child"]
    assert target.experiences() == source.experiences()


@pytest.mark.parametrize(("learned", "counts"), [("all", (2, 1, 2)), ("log", (2, 1, 0)), ("none", (0, 0, 0))])
def test_what_was_learned_can_be_left_out_on_either_side(learned, counts, tmp_path):
    told = export_runs(filled(MemoryStore()), tmp_path / "x.jsonl", learned=learned)
    assert (told.experiences, told.marks, told.states) == counts
    target = MemoryStore()
    assert import_runs(target, tmp_path / "x.jsonl", learned=False) == Taken(runs=3, events=9)
    assert target.last_experience() == 0


def test_a_run_that_went_on_grows_and_an_older_export_takes_nothing_away(tmp_path):
    source, target = MemoryStore(), MemoryStore()
    source.append([start("r")])
    export_runs(source, tmp_path / "older.jsonl")
    source.append([call("r", 1), end("r", 2)])
    source.append(whole("s"))
    export_runs(source, tmp_path / "newer.jsonl")
    import_runs(target, tmp_path / "older.jsonl")
    assert import_runs(target, tmp_path / "newer.jsonl") == Taken(runs=1, grown=1, events=5)
    assert import_runs(target, tmp_path / "older.jsonl") == Taken(known=1)
    assert list(target.traces()) == list(source.traces())


def test_a_run_that_differs_is_named_and_nothing_of_it_is_stored(tmp_path):
    source, target = MemoryStore(), MemoryStore()
    source.append([*whole("a"), *whole("r", agent_id="bob"), *whole("z", at=9)])
    target.append([start("r"), call("r", 1)])
    export_runs(source, tmp_path / "x.jsonl")
    with pytest.raises(ExchangeError, match=r"run 'r' differs .* event 1 is another 'call_finished'"):
        import_runs(target, tmp_path / "x.jsonl")
    assert target.events("r") == [start("r"), call("r", 1)]


def test_a_store_that_learned_something_else_keeps_it(exported):
    target = MemoryStore()
    target.append(whole("own"))
    target.add_feedback(score("own"), [lesson("own")])
    with pytest.raises(StoreError, match=r"number 1 .* taken by something else"):
        import_runs(target, exported)
    assert target.experiences()[0].run_id == "own"
    assert import_runs(target, exported, learned=False) == Taken(known=3)


def test_a_registry_that_is_not_stored_and_a_mark_without_its_state_are_told(tmp_path):
    source = MemoryStore()
    source.append(whole("r"))
    assert export_runs(source, tmp_path / "x.jsonl").without == ("r",)
    with open_store(f"sqlite:///{tmp_path}/mesh.db") as broken:
        broken.put_mark(mark(), state(0))
        with broken._database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM router_states")
        with pytest.raises(ExchangeError, match="mark 1 of router 'kernel'"):
            export_runs(broken, tmp_path / "y.jsonl")
        assert not (tmp_path / "y.jsonl").exists()
        assert export_runs(broken, tmp_path / "y.jsonl", learned="none").marks == 0


def edited(lines: list[str], change: str) -> list[str]:
    """Return the lines of an export, damaged in one way."""
    run = next(place for place, line in enumerate(lines) if line.startswith('{"record":"run"'))
    return {
        "nothing": [],
        "no header": lines[1:],
        "another header": [lines[0].replace("agentmesh traces", "cats"), *lines[1:]],
        "no JSON": [*lines[:3], "{", *lines[3:]],
        "no object": [*lines[:3], "[1]", *lines[3:]],
        "unknown record": [*lines[:3], '{"record":"cat"}', *lines[3:]],
        "deep": [*lines[:3], "[" * 100_000, *lines[3:]],
        "bad event": [*lines[: run + 1], lines[run + 1].replace('"task"', '"cask"'), *lines[run + 2 :]],
        "event too many": [*lines[: run + 1], *lines[run + 1 : run + 2] * 2, *lines[run + 2 :]],
        "event of no run": [*lines[:run], lines[run + 1], *lines[run:]],
        "event lost": [*lines[: run + 2], *lines[run + 3 :]],
        "run lost": [*lines[:-8], *lines[-6:]],
        "run cut": lines[: run + 2],
        "no end": lines[:-1],
        "second header": [*lines[:3], lines[0], *lines[3:]],
        "more behind": [*lines, lines[1]],
    }[change]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("nothing", "is cut short"),
        ("no header", r"line 1 .* 'header' was expected"),
        ("another header", r"line 1 .* this is 'cats'"),
        ("no JSON", r"line 4 of .* is no record .* '\{"),
        ("no object", "line 4 of .* is no record"),
        ("unknown record", "line 4 of .* is no record"),
        ("deep", "line 4 of .* is no record"),
        ("bad event", "line 5 of .* is no record"),
        ("event too many", "line 6 of .* out of place"),
        ("event of no run", "line 4 of .* 'run' was expected"),
        ("event lost", "out of place"),
        ("run lost", "says that 20 lines"),
        ("run cut", "and only 1 follow"),
        ("no end", "is cut short"),
        ("second header", "line 4 of .* 'run' was expected"),
        ("more behind", "comes after the end"),
    ],
)
def test_a_damaged_file_is_refused_by_line_and_every_run_before_it_is_whole(change, message, exported):
    lines = exported.read_text(encoding="utf-8").split("\n")[:-1]
    exported.write_text("".join(line + "\n" for line in edited(lines, change)), encoding="utf-8")
    target = MemoryStore()
    with pytest.raises(ExchangeError, match=message):
        import_runs(target, exported)
    assert all(log in list(filled(MemoryStore()).traces()) for log in target.traces())


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_anywhere_is_refused_and_taken_in_whole_later(share, exported, tmp_path):
    whole_file = exported.read_bytes()
    packed = gzip.compress(whole_file)
    target = MemoryStore()
    for name, content_of in (("cut.jsonl", whole_file), ("cut.jsonl.gz", packed)):
        (tmp_path / name).write_bytes(content_of[: int(share * len(content_of))])
        with pytest.raises(ExchangeError, match=r"is cut short|cannot be read"):
            import_runs(target, tmp_path / name)
    import_runs(target, exported)
    assert content(target) == content(filled(MemoryStore()))


def test_damage_to_the_packing_and_a_file_that_is_none_are_refused(exported, tmp_path):
    damaged = bytearray(gzip.compress(exported.read_bytes()))
    damaged[len(damaged) // 2] ^= 0xFF
    (tmp_path / "bad.jsonl.gz").write_bytes(damaged)
    (tmp_path / "plain.jsonl.gz").write_bytes(exported.read_bytes())
    for name, message in (("bad.jsonl.gz", "line"), ("plain.jsonl.gz", "cannot be read"), ("none.jsonl", "is missing")):
        with pytest.raises(ExchangeError, match=message):
            import_runs(MemoryStore(), tmp_path / name)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"version":1', '"version":2,"more":1'), ('"event_schema":1', '"event_schema":99'), ('"schema":1', '"schema":99')],
)
def test_what_a_newer_agentmesh_wrote_is_refused_with_advice(old, new, exported):
    exported.write_text(exported.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SchemaVersionError, match="upgrade it"):
        import_runs(MemoryStore(), exported)


def test_an_export_that_exists_is_replaced_by_force_alone(tmp_path):
    store = filled(MemoryStore())
    for name in ("x.jsonl", "folder"):
        export_runs(store, tmp_path / name)
        with pytest.raises(ExchangeError, match="is there already"):
            export_runs(store, tmp_path / name)
    store.append(whole("more"))
    for name in ("x.jsonl", "folder"):
        assert export_runs(store, tmp_path / name, force=True).runs == 4
        assert import_runs(MemoryStore(), tmp_path / name).runs == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "x.jsonl"]


def test_force_never_touches_what_no_export_wrote(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it", encoding="utf-8")
    (tmp_path / "file").write_text("mine too", encoding="utf-8")
    (tmp_path / "folder.jsonl").mkdir()
    for name, message in (("mine", "holds 'thesis.txt'"), ("file", "is a file"), ("folder.jsonl", "is a folder")):
        with pytest.raises(ExchangeError, match=message):
            export_runs(filled(MemoryStore()), tmp_path / name, force=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text(encoding="utf-8") == "all of it"
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine too"


@pytest.mark.parametrize("name", ["x.jsonl", "folder"])
def test_an_export_that_fails_leaves_nothing_behind(name, tmp_path):
    class Broken(MemoryStore):
        def experiences(self, *arguments: object, **options: object) -> list[object]:
            raise StoreError("the disk is gone")

    with pytest.raises(StoreError, match="the disk is gone"):
        export_runs(filled(Broken()), tmp_path / name)
    with pytest.raises(ExchangeError, match="cannot be written"):
        export_runs(MemoryStore(), tmp_path / "nowhere" / name)
    assert list(tmp_path.iterdir()) == []


def test_an_export_under_way_does_not_see_what_is_written_meanwhile(tmp_path):
    class Written(MemoryStore):
        """Is written to as soon as its learning was looked at."""

        def every_mark(self) -> list[object]:
            found = super().every_mark()
            self.append(whole("meanwhile", at=9))
            self.add_feedback(score("meanwhile"), [lesson("meanwhile")])
            return found

    store, target = filled(Written()), MemoryStore()
    export_runs(store, tmp_path / "x.jsonl")
    import_runs(target, tmp_path / "x.jsonl")
    assert target.experiences() == store.experiences(until=3)
    import_runs(target, _exported_again(filled(MemoryStore()), tmp_path))
    assert target.last_experience() == 3


def _exported_again(store: TraceStore, folder: Path) -> Path:
    export_runs(store, folder / "again.jsonl")
    return folder / "again.jsonl"


def test_many_runs_are_taken_in_a_few_transactions(tmp_path):
    class Counted(MemoryStore):
        appended: list[int]

        def append(self, events: list[Event]) -> None:
            self.appended.append(len(events))
            super().append(events)

    source, target = MemoryStore(), Counted()
    target.appended = []
    source.append([event for number in range(700) for event in whole(f"r{number}", at=number)])
    export_runs(source, tmp_path / "x.jsonl.gz")
    import_runs(target, tmp_path / "x.jsonl.gz")
    assert target.appended == [2001, 99]
    lines = gzip.decompress((tmp_path / "x.jsonl.gz").read_bytes()).splitlines()
    assert all(json.loads(line)["record"] for line in lines)


def test_the_errors_are_of_the_tree():
    assert issubclass(ExchangeError, AgentMeshError)
