"""What serves in numpy computes what torch trained, to 1e-5: logits, costs, and the embeddings of agents."""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
import torch

from agentmesh.routing.base import AgentPool
from agentmesh.routing.gnn.arguments import GnnArguments
from agentmesh.routing.gnn.features import card_features
from agentmesh.routing.gnn.graph import by_id, training_graph
from agentmesh.routing.gnn.memory import GnnMemory
from agentmesh.routing.gnn.router import GnnRouter
from agentmesh.routing.gnn.scoring import Scoring
from agentmesh.routing.gnn.skills import with_skills
from agentmesh.routing.gnn.training.data import GraphData
from agentmesh.routing.gnn.training.fitting import Fitting, shape_of
from agentmesh.routing.gnn.training.queries import queries_of
from agentmesh.routing.gnn.training.train import parted
from agentmesh.routing.gnn.weights import AgentSums
from agentmesh.routing.progress import unsaid
from agentmesh.testing.grounds import ground_labels, ground_outcomes, ground_table, ground_tasks

pytestmark = pytest.mark.timeout(60)  # the first test imports torch

CLOSE = 1e-5
SWITCHES = [
    dict(zip(("typed", "like", "deep", "entities"), each, strict=True)) for each in product([True, False], repeat=4)
]


@dataclass(frozen=True)
class Both:
    """One training: as torch holds it and as it serves."""

    arguments: GnnArguments
    data: GraphData
    fitting: Fitting
    memory: GnnMemory
    pool: AgentPool

    @torch.no_grad()
    def nodes(self):
        everything = torch.arange(len(self.data.graph))
        part, place = self.data.messages(everything, self.data.queries.seen)
        self.fitting.net.eval()
        return self.fitting.net.encode(part)[-1], place

    @torch.no_grad()
    def in_torch(self, tasks):
        """Return the logits and the corrections of cost, with all outcomes of the graph visible."""
        table = ground_table(tasks, np.zeros((len(tasks), len(self.pool))), self.pool)
        queries = queries_of(table, self.data, self.pool, self.arguments.neighbours)
        if self.arguments.entities:
            known = self.memory.model.entity_names
            named = [self.memory.model.named_entities(task.text) for task in tasks]
            queries = replace(queries, entities=[np.array([known[name] for name in one], np.int64) for one in named])
        seen, rows = self.data.queries.seen, torch.arange(len(tasks))
        nodes, place = self.nodes() if self.arguments.deep else (None, torch.full((len(self.data.graph),), -1))
        self.fitting.net.eval()
        visible = self.data.visible(seen, torch.arange(len(self.data.graph)))
        score, correction = self.fitting.net(self.data.batch(queries, rows, seen, place), visible, nodes)
        return score.numpy(), correction.numpy()

    def in_numpy(self, tasks):
        scored = [Scoring.of(task, self.pool, self.memory) for task in tasks]
        return np.stack([one.score for one in scored]), np.stack([one.correction for one in scored])


def trained(outcomes, **options):
    router = GnnRouter(**{"hidden": 16, "passes": 2, "rate": 0.02, "neighbours": 16, "clusters": 4, **options})
    arguments = GnnArguments(**{name: router.parameters[name] for name in GnnArguments.__dataclass_fields__})
    torch.manual_seed(0)
    table = with_skills(by_id(outcomes), arguments.clusters, seed=0)
    graph = training_graph(table, table.pool, entities=arguments.entities, neighbours=2 * arguments.neighbours)
    data = GraphData(graph, shape_of(graph, arguments), torch.device("cpu"))
    fit, _ = parted(len(graph), 0, given=True)
    fitting = Fitting(data, arguments, fit=fit, held=np.zeros(0, np.int64), queries=data.queries)
    made = fitting.handed_over(fitting.run(unsaid, validated="nothing"))
    return Both(arguments, data, fitting, GnnMemory.trained(arguments, table, made), table.pool)


def new_tasks(count=12):
    grounds = np.random.default_rng(5).integers(0, 4, size=count)
    return ground_tasks(grounds, seed=99)


def assert_the_same(both):
    there, here = both.in_torch(new_tasks()), both.in_numpy(new_tasks())
    assert here[0] == pytest.approx(there[0], abs=CLOSE)
    assert here[1] == pytest.approx(there[1], abs=CLOSE)


@pytest.mark.parametrize("switches", SWITCHES, ids=lambda each: "-".join(name for name in each if each[name]) or "none")
@pytest.mark.parametrize("kind", [ground_outcomes, ground_labels])
def test_both_give_the_same_logits_and_costs(kind, switches):
    assert_the_same(trained(kind(36, seed=1), **switches))


def test_the_network_compared_is_one_that_learned():
    both = trained(ground_outcomes(60, seed=1))
    scored = Scoring.of(new_tasks()[0], both.pool, both.memory)
    assert np.abs(scored.deep).max() > 100 * CLOSE
    assert np.abs(scored.correction).max() > 100 * CLOSE


def test_both_give_the_same_where_outcomes_are_missing():
    table = ground_outcomes(60, seed=2)
    hidden = np.random.default_rng(3).random(table.quality.shape) < 0.6
    quality = np.where(hidden, np.nan, table.quality)
    quality[:5] = np.nan  # tasks of which nothing is known at all
    assert_the_same(trained(replace(table, quality=quality)))


def test_both_give_the_same_without_groups():
    table = ground_outcomes(60, seed=3)
    assert_the_same(trained(replace(table, groups=("",) * 60)))


def test_both_give_the_same_for_agents_out_of_order_and_qualities_between_0_and_1():
    table = ground_outcomes(60, seed=4)
    order = [2, 0, 3, 1]
    ids = tuple(table.agent_ids[place] for place in order)
    between = np.random.default_rng(4).random(table.quality.shape)
    pool = table.pool.taken(order, registry_version="mixed")
    assert_the_same(trained(replace(table, agent_ids=ids, quality=between, cost=table.cost[:, order], pool=pool)))


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize("kind", [ground_outcomes, ground_labels])
def test_agents_are_embedded_from_sums_as_from_the_whole_graph(kind, typed):
    both = trained(kind(60, seed=5), typed=typed)
    model, memory = both.memory.model, both.memory
    skills = np.stack([model.declared(card.skills) for card in both.pool.cards])
    sums = AgentSums(memory.messages, memory.counts)
    nodes, _ = both.nodes()
    assert model.weights.agents(card_features(both.pool), sums, skills) == pytest.approx(
        nodes["agent"].numpy(), abs=CLOSE
    )
    keys = both.fitting.net.to_agent(nodes["agent"]).detach().numpy()
    assert memory.keys(model, both.pool) == pytest.approx(keys, abs=CLOSE)


def test_the_embeddings_of_tasks_that_are_kept_are_those_of_the_whole_graph():
    both = trained(ground_outcomes(60, seed=6))
    states = both.memory.tasks.states.reshape(60, 3, 16)[:, -1]
    assert states == pytest.approx(both.nodes()[0]["task"].numpy(), abs=CLOSE)
