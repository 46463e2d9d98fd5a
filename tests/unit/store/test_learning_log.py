"""The learning log under load: four processes at once, processes that are killed, readers and writers side by side."""

import importlib.util
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from agentmesh.errors import StoreError
from agentmesh.records import LearningFault
from agentmesh.routing.intent import OTHER
from agentmesh.routing.pheromone import PheromoneRouter
from agentmesh.store import MemoryStore, open_store
from agentmesh.store.faults import MOST_IN_MEMORY, MOST_ON_DISK
from agentmesh.testing.traces import lesson, mark, score, state, whole

FOLDER = Path(__file__).parent
PROCESSES = ("p0-", "p1-", "p2-", "p3-")


def load_feeding():
    spec = importlib.util.spec_from_file_location("feeding", FOLDER / "feeding.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


feeding = load_feeding()


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/mesh.db"


# --- several processes


@pytest.fixture
def feed_at_once(url, tmp_path, warm_python):
    """Return what has processes score ``count`` runs each at once, and returns the numbers that each was given."""

    def feed(count, *names):
        done = warm_python.run(FOLDER / "feeding.py", url, count, *names, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return feed


def learned(experiences):
    """Return a router of named types that learned a log, in the order of the log."""
    router = PheromoneRouter(drift=0.0)
    for item in experiences:
        router.learn(item)
    return router


def sums_of(router):
    """Return good evidence and evidence of each type and edge, as they are added up before any bounds."""
    trails = router.trails()
    return {
        (kind, edge): router._memory.trails.sums[:, place, column]
        for place, kind in enumerate(trails.types)
        for column, edge in enumerate(trails.edges)
    }


def learned_from_one_process(count):
    """Return what the same scores lead to when one process gives them, one after another."""
    with MemoryStore() as store:
        for name in PROCESSES:
            feeding.prepare(store, name, count)
            feeding.feed(store, name, count)
        return learned(store.experiences())


def check_trails_equal_those_of_one_process(log, count):
    """Compare the trails that the log lays with those of the same scores given in another order."""
    several, one = learned(log), learned_from_one_process(count)
    assert {edge.agent_id for edge in one.trails().edges} == set(feeding.AGENTS)
    assert set(one.trails().types) == {OTHER, "maths", "law", "art"}
    assert several.trails().at == one.trails().at
    found, expected = sums_of(several), sums_of(one)
    assert found.keys() == expected.keys()
    for key, sums in expected.items():
        assert found[key] == pytest.approx(sums, rel=1e-9, abs=0.0), key


def check_race(url, count, feed_at_once):
    given = feed_at_once(count, *PROCESSES)
    with open_store(url, read_only=True) as store:
        log = store.experiences()
        assert store.check() == []
    assert [item.sequence for item in log] == list(range(1, 4 * count + 1))
    by_number = {item.sequence: item for item in log}
    for name, numbers in given.items():
        assert numbers == sorted(numbers)
        in_own_order = [lesson.model_copy(update={"sequence": number}) for number, lesson in own(name, numbers)]
        assert [by_number[number] for number in numbers] == in_own_order
    check_trails_equal_those_of_one_process(log, count)


def own(name, numbers):
    """Yield each number that a process was given with the experience that it handed in."""
    for i, number in enumerate(numbers):
        yield number, feeding.scored(name, i)[1][0]


@pytest.mark.timeout(90)  # it starts four processes
def test_four_processes_that_give_feedback_at_once_lose_none_and_leave_no_hole(url, feed_at_once):
    check_race(url, 100, feed_at_once)


@pytest.mark.soak
def test_four_processes_that_give_ten_thousand_scores_each_lose_none_and_leave_no_hole(url, feed_at_once):
    check_race(url, 10_000, feed_at_once)


# --- processes that are killed


def kill_feeders(url, folder, warm_python, *, kills):
    done = warm_python.run(FOLDER / "killing.py", url, kills, "feedback", folder=folder)
    assert done.returncode == 0, done.stderr
    with open_store(url, read_only=True) as store:
        log = store.experiences()
    assert {item.run_id.partition("-")[0] for item in log} == {f"k{kill}" for kill in range(kills)}
    assert [item.sequence for item in log] == list(range(1, len(log) + 1))


@pytest.mark.timeout(90)  # it starts eight processes
def test_feedback_that_was_acknowledged_before_a_kill_is_in_the_log_exactly_once(url, tmp_path, warm_python):
    kill_feeders(url, tmp_path, warm_python, kills=20)


@pytest.mark.soak
def test_feedback_acknowledged_before_each_of_fifty_kills_is_in_the_log_exactly_once(url, tmp_path, warm_python):
    kill_feeders(url, tmp_path, warm_python, kills=50)


# --- readers and writers side by side


@pytest.mark.timeout(60)  # it starts a process
def test_feedback_from_another_process_is_taken_while_a_long_read_is_open_which_sees_none_of_it(
    url, tmp_path, feed_at_once
):
    with open_store(url):
        reader = sqlite3.connect(tmp_path / "mesh.db", isolation_level=None)
        reader.execute("BEGIN")
        count = "SELECT count(*) FROM experiences"
        assert reader.execute(count).fetchone() == (0,)
        assert feed_at_once(20, "p") == {"p": list(range(1, 21))}
        assert reader.execute(count).fetchone() == (0,)
        reader.execute("COMMIT")
        assert reader.execute(count).fetchone() == (20,)
        reader.close()


def test_a_reader_does_not_wait_for_a_writer_in_the_middle_of_its_transaction(url, tmp_path):
    with open_store(url, busy_timeout_s=0.05) as store:
        store.append(whole("r"))
        store.add_feedback(score("r"), [lesson("r")])
        marked = store.put_mark(mark(), state(0))
        writer = sqlite3.connect(tmp_path / "mesh.db", isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM experiences")
        writer.execute("DELETE FROM router_marks")
        writer.execute("DELETE FROM router_states")
        assert [item.sequence for item in store.experiences()] == [1]
        assert store.marks("kernel", "abc") == [marked]
        assert store.nearest_state("kernel", "abc") == state(2)
        assert store.last_experience() == 2
        writer.execute("ROLLBACK")
        writer.close()


def test_learners_read_on_while_feedback_comes_in(url):
    with open_store(url) as store, open_store(url, read_only=True) as other:
        feeding.prepare(store, "p", 60)
        done = Event()

        def feed():
            try:
                feeding.feed(store, "p", 60)
            finally:
                done.set()

        writer, seen = Thread(target=feed), []
        writer.start()
        while not done.is_set() or len(seen) < other.last_experience():
            seen += [item.sequence for item in other.experiences(len(seen), limit=7)]
        writer.join()
        assert seen == list(range(1, 61))


# --- reading only, damage, limits


def test_a_store_opened_for_reading_refuses_scores_marks_states_and_faults_and_reads_them(url):
    with open_store(url) as store:
        store.append(whole("r"))
        store.add_feedback(score("r"), [lesson("r")])
        store.put_mark(mark(), state(0))
        store.add_fault(LearningFault(at=1, message="m"))
    with open_store(url, read_only=True) as store:
        for write in (
            lambda: store.add_feedback(score("r", source="judge")),
            lambda: store.put_mark(mark(), state(0)),
            lambda: store.put_state(state(9)),
            lambda: store.add_fault(LearningFault(at=2, message="n")),
        ):
            with pytest.raises(StoreError, match="opened for reading only"):
                write()
        assert store.last_experience() == 2
        assert [item.sequence for item in store.marks("kernel", "abc")] == [2]
        assert store.states("kernel", "abc") == [(2, 0.0)]
        assert store.faults() == [LearningFault(at=1, message="m")]


def test_a_mark_on_a_full_disk_stores_neither_mark_nor_state(url):
    with open_store(url) as store:
        with store._database.writing() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(StoreError, match="is full"):
            store.put_mark(mark(), state(0, payload=b"x" * 200_000))
        assert store.marks("kernel", "abc") == []
        assert store.states("kernel", "abc") == []
        assert store.last_experience() == 0


def test_the_check_names_a_mark_whose_state_is_gone(url, tmp_path):
    with open_store(url) as store:
        store.put_mark(mark(), state(0))
        store.put_mark(mark(parameters="fitted"), state(0, parameters="fitted"))
        execute(tmp_path, "DELETE FROM router_states WHERE parameters = 'fitted'")
        (line,) = store.check()
        assert "mark 2 of router 'kernel' has no state of parameters 'fitted'" in line


def test_the_check_names_a_number_that_was_used_twice(url, tmp_path):
    with open_store(url) as store:
        store.append(whole("r"))
        store.add_feedback(score("r"), [lesson("r")])
        store.put_mark(mark(), state(0))
        execute(tmp_path, "UPDATE experiences SET sequence = 2")
        assert store.check() == ["number 2 is that of a mark and of an experience"]


def test_a_damaged_mark_is_named(url, tmp_path):
    with open_store(url) as store:
        store.put_mark(mark(), state(0))
        execute(tmp_path, "UPDATE router_marks SET kind = 'odd'")
        with pytest.raises(StoreError, match=r"mark 1 in .*mesh\.db' is damaged.*'odd'"):
            store.marks("kernel", "abc")


def test_a_store_in_memory_forgets_the_oldest_faults():
    with MemoryStore() as store:
        for i in range(MOST_IN_MEMORY + 5):
            store.add_fault(LearningFault(at=i, message="m"))
        found = [fault.at for fault in store.faults(limit=10**6)]
        assert found == [float(i) for i in reversed(range(5, MOST_IN_MEMORY + 5))]


def test_a_store_on_disk_forgets_the_oldest_faults(url, tmp_path):
    with open_store(url) as store:
        with closing(sqlite3.connect(tmp_path / "mesh.db")) as connection, connection:
            filled = "INSERT INTO learning_faults (at, run_id, source, message) VALUES (?, '', '', 'm')"
            connection.executemany(filled, [(float(i),) for i in range(MOST_ON_DISK + 4)])
        store.add_fault(LearningFault(at=MOST_ON_DISK + 4, message="m"))
        found = [fault.at for fault in store.faults(limit=10**6)]
        assert found == [float(i) for i in reversed(range(5, MOST_ON_DISK + 5))]


def execute(folder, statement):
    with sqlite3.connect(folder / "mesh.db") as connection:
        connection.execute(statement)
    connection.close()


OPENING = """
import sys
from multiprocessing import get_context
from agentmesh.store import open_store
forks = get_context("fork")
barrier = forks.Barrier(6)
def make():
    barrier.wait()
    open_store(sys.argv[1]).close()
running = [forks.Process(target=make) for _ in range(6)]
for process in running:
    process.start()
for process in running:
    process.join()
print([process.exitcode for process in running])
"""


def test_processes_that_make_a_database_at_once_wait_for_one_another(url, tmp_path, warm_python):
    (tmp_path / "opening.py").write_text(OPENING, encoding="utf-8")
    done = warm_python.run(tmp_path / "opening.py", url, folder=tmp_path)
    assert done.stdout == "[0, 0, 0, 0, 0, 0]\n"
