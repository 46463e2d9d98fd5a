"""Types of task found, parted, added and retired while the pheromone router runs, and the evidence on their trails."""

from pathlib import Path

import numpy as np
import pytest

from agentmesh.embed.static import StaticEmbedder
from agentmesh.packing import pack_vector
from agentmesh.recorded import load_set
from agentmesh.routing.intent import OTHER
from agentmesh.routing.pheromone import DAY_S, PheromoneRouter
from agentmesh.testing.samples import sample_experience, sample_features, sample_pool

SETS = Path(__file__).parents[3] / "benchmarks" / "sets"
DIMENSION = 16
AXES = np.eye(DIMENSION, dtype=np.float32)
TEXTS = ("an integral of a polynomial", "the empire lost a battle", "a molecule in a reaction", "the rhyme of a sonnet")
POOL = sample_pool(3)


def make_router(**arguments):
    return PheromoneRouter(
        **{"types": 4, "half_life_days": np.inf, "drift": 0.0, "rate": 0.0, "alpha": 1.0, **arguments}
    )


def lesson(sequence, vector, text, *, agent="agent-00", quality=0.75, at=0.0, hints=()):
    changed = {"vector": pack_vector(vector), "text": text, "agent_id": agent, "quality": quality, "at": at}
    return sample_experience(sequence, POOL).model_copy(update={**changed, "type_hints": hints})


def near(kind, sequence, spread=0.1):
    vector = AXES[kind] + spread * np.random.default_rng([5, sequence]).normal(size=DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def teach(router, kinds, count, *, spread=0.1, day=0.0):
    """Show tasks near the axes named by ``kinds`` in turn; each kind has a right agent, and agents take turns."""
    for _ in range(count):
        number = router.sequence + 1
        kind = kinds[number % len(kinds)]
        agent = number // len(kinds) % 3
        text, quality = TEXTS[kind], float(agent == kind % 3)
        task = near(kind, number, spread)
        router.learn(lesson(number, task, text, agent=POOL.ids[agent], quality=quality, at=day * DAY_S))
    return router


def sums(router):
    """Return good evidence and evidence of each edge, over all types."""
    return router._memory.trails.sums.sum(axis=1)


def told(router, kind):
    """Return the name of the likeliest type of a task near an axis."""
    return router.trails().types[int(np.argmax(router._memory.types.membership(AXES[kind])))]


def test_types_are_found_after_some_outcomes_and_named_by_their_words():
    router = teach(make_router(types=4), (0, 1, 2), 127)
    assert router.trails().types == (OTHER,)
    teach(router, (0, 1, 2), 1)
    names = router.trails().types
    assert len(names) == 4
    assert {told(router, kind).partition(": ")[2] for kind in range(3)} == {
        "integral, polynomial",
        "battle, empire, lost",
        "molecule, reaction",
    }


def test_found_types_begin_with_the_evidence_of_the_outcomes_they_were_found_among():
    router = teach(make_router(types=4), (0, 1, 2), 128)
    trails = router.trails()
    assert trails.evidence[0].sum() < 1.0
    assert trails.evidence.sum() == pytest.approx(128.0)
    for kind in range(3):
        row = trails.trail[trails.types.index(told(router, kind))]
        right = [edge.agent_id for edge in trails.edges].index(POOL.ids[kind])
        assert np.argmax(row) == right


def test_without_room_for_types_there_is_one_for_all():
    assert teach(make_router(types=0), (0, 1, 2), 300).trails().types == (OTHER,)


def test_tasks_that_come_with_hints_name_the_types_and_none_are_found():
    router = make_router(types=4)
    for number in range(1, 301):
        kind = number % 2
        router.learn(lesson(number, near(kind, number), TEXTS[kind], hints=("maths", "history")[kind : kind + 1]))
    trails = router.trails()
    assert trails.types == (OTHER, "history", "maths")
    assert trails.evidence.sum(axis=1).tolist() == [0.0, 150.0, 150.0]


def test_a_type_appears_for_new_tasks_and_disappears_with_them():
    router = teach(make_router(types=4), (0, 1), 256)
    before = router.trails().types
    teach(router, (0, 1, 3), 256)
    name = told(router, 3)
    assert name not in before
    assert name.endswith(": rhyme, sonnet")
    assert router.trails().trail[router.trails().types.index(name)].argmax() == 0
    teach(router, (0, 1), 3600)
    assert name not in router.trails().types
    assert len(router.trails().types) >= 3
    assert sums(router)[1].sum() == pytest.approx(256 + 256 + 3600, rel=1e-9)  # retiring it lost nothing


def test_every_remaking_of_the_types_hands_on_all_the_evidence():
    router, remakings = make_router(types=8), 0
    phases = ((0, 1), 256), ((0, 1, 3), 256), ((2, 3), 300), ((0, 0, 0, 1), 100)
    for kinds, count in phases:
        for _ in range(count):
            names, before = router.trails().types, sums(router)
            teach(router, kinds, 1, spread=0.15)
            remakings += router.trails().types != names
            after = sums(router)
            assert after[1].sum() == pytest.approx(before[1].sum() + 1.0, rel=1e-9)
            assert 0.0 <= after[0].sum() - before[0].sum() + 1e-9 <= 1.0 + 2e-9
    assert remakings >= 2  # types found, and one added or parted
    assert sums(router)[1].tolist() == pytest.approx([912 / 3] * 3, abs=4)


def test_evidence_that_evaporated_meanwhile_is_handed_on_as_it_is():
    router = make_router(types=4, half_life_days=10.0)
    teach(router, (0, 1, 2), 64, day=0.0)
    teach(router, (0, 1, 2), 63, day=10.0)
    before = sums(router)[1].sum()
    teach(router, (0, 1, 2), 1, day=5.0)  # and the last one comes late
    assert len(router.trails().types) == 4
    assert before == pytest.approx(32.0 + 63.0)
    assert sums(router)[1].sum() == pytest.approx(before + 0.5**0.5)


def test_a_trail_broken_off_before_types_were_found_is_not_mended_by_finding_them():
    router = make_router(types=4, drift=4.0)
    for number in range(1, 129):
        router.learn(lesson(number, near(number % 3, number), TEXTS[number % 3], quality=float(number <= 90)))
    assert len(router.trails().types) == 4
    assert sums(router)[1].sum() < 60.0
    assert sums(router)[0].sum() < 12.0


def test_what_an_old_version_did_is_not_shared_out_when_types_are_found():
    router = teach(make_router(types=4), (0, 1, 2), 120)
    for agent in POOL.ids:
        newer = lesson(router.sequence + 1, near(0, 0), TEXTS[0], agent=agent).model_copy(update={"agent_version": 2})
        router.learn(newer)
    assert sums(router)[1].tolist() == [1.0, 1.0, 1.0]
    for place in range(5):
        changed = {"agent_version": 2, "agent_id": "agent-00"}
        router.learn(lesson(router.sequence + 1, near(1, place), TEXTS[1]).model_copy(update=changed))
    assert len(router.trails().types) == 4
    assert sums(router)[1].sum() == pytest.approx(8.0)


def test_edges_behind_an_agent_whose_version_changed_stay_empty_when_types_are_found():
    router = make_router(types=4)
    for number in range(1, 121):
        behind = {"stage": 1, "previous": "agent-00", "agent_id": "agent-01"}
        router.learn(lesson(number, near(number % 3, number), TEXTS[number % 3]).model_copy(update=behind))
    router.learn(lesson(121, near(0, 0), TEXTS[0]))
    for number in range(122, 129):
        router.learn(
            lesson(number, near(number % 3, number), TEXTS[number % 3]).model_copy(update={"agent_version": 2})
        )
    assert len(router.trails().types) == 4
    assert sums(router)[1].sum() == pytest.approx(7.0)


def test_a_strange_task_and_one_of_no_known_word_go_to_the_catch_all():
    router = teach(make_router(types=4), (0, 1, 2), 128)
    before = router.trails().evidence[0].sum()
    for vector in (-AXES[0], np.zeros(DIMENSION, np.float32)):
        router.learn(lesson(router.sequence + 1, vector, ""))
    assert router.trails().evidence[0].sum() > before + 1.7
    task = sample_features()
    strange = type(task)(vector=np.zeros(DIMENSION, np.float32), text="")
    assert max(router.estimate(strange, POOL).intent, key=router.estimate(strange, POOL).intent.get) == OTHER


@pytest.fixture(scope="module")
def questions():
    """Return vectors, texts and subjects of real questions in maths, law and psychology, mixed."""
    tasks = load_set(SETS / "mmlu_pro").open("val")
    kinds = ("math", "law", "psychology")
    by_kind = [[place for place, group in enumerate(tasks.groups) if group == kind][:95] for kind in kinds]
    places = [place for row in zip(*by_kind, strict=True) for place in row]
    texts = [tasks.texts[place] for place in places]
    return StaticEmbedder().embed(texts), texts, [tasks.groups[place] for place in places]


def test_among_real_questions_types_are_found_that_are_mostly_of_one_subject(questions):
    vectors, texts, subjects = questions
    router = make_router(types=6)
    for number, (vector, text) in enumerate(zip(vectors[:256], texts, strict=False), start=1):
        router.learn(lesson(number, vector, text))
    names = router.trails().types
    assert 4 <= len(names) <= 7
    assert all(": " in name for name in names[1:])
    assert sums(router)[1].sum() == pytest.approx(256.0)
    likeliest = [int(np.argmax(router._memory.types.membership(vector))) for vector in vectors]
    right = 0
    for place in set(likeliest):
        inside = [subject for subject, kind in zip(subjects, likeliest, strict=True) if kind == place]
        right += max(inside.count(subject) for subject in set(inside))
    assert right / len(subjects) > 0.75
