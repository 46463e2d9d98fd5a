"""Tasks that a router is told of beforehand are compared at once, with what comes out as it would one by one."""

import numpy as np

from agentmesh.packing import pack_vector
from agentmesh.routing.outcomes import OutcomeMemory
from agentmesh.testing.traces import lesson


def taught(memory, vector, sequence):
    memory.learn(lesson(f"r{sequence}").model_copy(update={"vector": pack_vector(vector), "sequence": sequence}))


def test_foreseen_tasks_are_as_alike_to_past_ones_as_others_until_something_is_learned():
    vectors = np.random.default_rng(7).normal(size=(9, 16)).astype(np.float32)
    memory = OutcomeMemory(max_tasks=20)
    memory.foresee(vectors)  # nothing is known yet
    assert memory.similarities(vectors[0]).shape == (0,)
    for place, vector in enumerate(vectors[:5]):
        taught(memory, vector, place + 1)
    alone = [memory.similarities(vector) for vector in vectors]
    memory.foresee(vectors[:8])
    np.testing.assert_allclose([memory.similarities(vector) for vector in vectors], alone, rtol=1e-5, atol=1e-6)
    taught(memory, vectors[5], 6)
    assert memory.similarities(vectors[0]).shape == (6,)
