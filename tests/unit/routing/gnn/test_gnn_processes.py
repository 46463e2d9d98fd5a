"""The GNN router without torch, in processes of its own, and the states that it refuses."""

import json
import subprocess
import sys
from base64 import b64encode

import numpy as np
import pytest

from agentmesh.errors import ConfigError
from agentmesh.routing.base import RouteContext
from agentmesh.testing.grounds import ground_experience, ground_pool, ground_tasks

pytestmark = pytest.mark.timeout(60)  # the first test that trains imports torch

POOL = ground_pool(5)
"""The four agents trained on, and a newcomer."""
NEWCOMER = "agent-04"


SERVE = """
import json, sys
from base64 import b64decode
from agentmesh.records import RouterState
from agentmesh.routing.base import RouteContext
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.testing.grounds import ground_experience, ground_pool, ground_tasks
asked = json.loads(sys.stdin.read())
router = GnnRouter(**asked["parameters"])
router.restore(RouterState(**asked["state"], payload=b64decode(asked["payload"])))
[task] = ground_tasks([1], seed=3)
router.learn(ground_experience(1, task, "agent-04", 1.0))
decision = router.decide(task, ground_pool(5), RouteContext(seed=1))
heavy = sorted({name.split(".")[0] for name in sys.modules} & {"torch", "torch_geometric", "networkx"})
print(json.dumps({"chosen": decision.selected[0].agent_id, "scores": decision.score_array().tolist(), "heavy": heavy}))
"""


def test_serving_and_learning_import_neither_torch_nor_networkx(router):
    state = router.snapshot()
    order = {
        "parameters": dict(router.parameters),
        "state": state.model_dump(mode="json", exclude={"payload"}),
        "payload": b64encode(state.payload).decode(),
    }
    done = subprocess.run(
        [sys.executable, "-c", SERVE], input=json.dumps(order), capture_output=True, text=True, check=True, timeout=60
    )
    there = json.loads(done.stdout)
    [task] = ground_tasks([1], seed=3)
    router.learn(ground_experience(1, task, NEWCOMER, 1.0))
    here = router.decide(task, POOL, RouteContext(seed=1))
    assert there["heavy"] == []
    assert there["chosen"] == here.selected[0].agent_id
    assert there["scores"] == here.score_array().tolist()


WITHOUT = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] == sys.argv[1] else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from agentmesh.errors import MissingExtraError
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.testing.grounds import ground_outcomes, ground_pool, ground_tasks
router = GnnRouter()
try:
    router.fit(ground_outcomes(20))
except MissingExtraError as error:
    print(error)
print(router.score(ground_tasks([0])[0], ground_pool(2)).tolist() != [])
"""


@pytest.mark.parametrize("package", ["torch", "torch_geometric"])
def test_without_torch_training_names_the_line_that_installs_it_and_serving_goes_on(package):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, package], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [
        f"{package!r} is not installed; run: pip install 'agentmesh-routing[gnn]'",
        "True",
    ]


# states


def gone(name):
    return lambda arrays, meta: arrays.pop(name)


def put(name, value):
    return lambda arrays, meta: arrays.__setitem__(name, value)


def told(change):
    return lambda arrays, meta: change(meta)


BROKEN = {
    "no past tasks": gone("task_vectors"),
    "no weights": gone("net/task.weight"),
    "no bias": gone("net/to_query.bias"),
    "no recogniser": gone("recogniser"),
    "paths of another length": put("paths", np.zeros(3)),
    "weights of another shape": put("net/score.weight", np.zeros(3, np.float32)),
    "a query of another width": put("net/query.weight", np.zeros((64, 3), np.float32)),
    "skills of another shape": put("skill_states", np.zeros((4, 2, 16), np.float32)),
    "entities of another shape": put("entity_states", np.zeros((1, 16), np.float32)),
    "messages of fewer agents": put("messages", np.zeros((1, 2, 2, 16), np.float32)),
    "outcomes of fewer tasks": put("task_outcomes", np.zeros((1, 2, 4), np.float32)),
    "tasks without names": told(lambda meta: meta.pop("task_ids")),
    "skills without names": told(lambda meta: meta["model"].pop("skills")),
    "a model without parts": told(lambda meta: meta["model"].pop("parts")),
    "a model without a card": told(lambda meta: meta["model"].update(card=3)),
    "fewer agents": told(lambda meta: meta.update(agents=["a"])),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_state_whose_parts_do_not_fit_is_refused(name, router, altered):
    with pytest.raises(ConfigError):
        altered(router, BROKEN[name])


def test_a_state_remembers_how_it_was_trained(router):
    assert router.training["validated"] == "val"
    assert router.training["tasks"] == 120
    assert router.training["passes"] > 0
