"""One training: steps that hide outcomes and predict them, checkpoints by the loss on held tasks, and the hand-over."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agentmesh.routing.gnn.arguments import CLOSED_BUCKETS, TEMPERATURE, GnnArguments
from agentmesh.routing.gnn.graph import TrainingGraph
from agentmesh.routing.gnn.skills import recogniser
from agentmesh.routing.gnn.trained import Trained, TrainingCard
from agentmesh.routing.gnn.training.data import GraphData, Queries
from agentmesh.routing.gnn.training.net import GnnNet, NetShape
from agentmesh.routing.gnn.weights import LAYERS, PATHS, PathNumbers
from agentmesh.routing.progress import Say, bar
from agentmesh.types import Clock, IndexArray, SystemClock

BATCH: Final = 256
CONTEXT: Final = 2_048
"""Past tasks whose messages a step computes: a sample of them, so that a step does not grow with the graph."""
PATIENCE: Final = 5
PATH_RATE: Final = 10.0  # the ten numbers of the paths move this much faster than matrices
WIDE_RATE: Final = 0.06  # of AdaGrad, as in LinearRouter
LAST_RATE: Final = 0.05
DECAY: Final = 1e-4
RANKING: Final = 0.3
SKILL_LOSS: Final = 0.3
COST_LOSS: Final = 0.1
SMOOTHING: Final = 1e-3
LEAST_COST: Final = 1e-12
THINNED_STEPS: Final = 0.25
THINNED_AGENTS: Final = 8
FEW: Final = (0, 5, 20, 100)
"""In a quarter of the steps an eighth of the agents shows so few outcomes, so that new ones are judged well."""
SMALLEST: Final = 1e-7


def shape_of(graph: TrainingGraph, arguments: GnnArguments) -> NetShape:
    """Return what the network is made for; the wide part is for labels, where each agent has its own words."""
    return NetShape(
        dimension=graph.features.shape[1] - 1,
        agents=len(graph.cards),
        skills=max(len(graph.tensors.skill_names), 1),
        hidden=arguments.hidden,
        entities=arguments.entities,
        typed=arguments.typed,
        like=arguments.like,
        buckets=CLOSED_BUCKETS if graph.exclusive else 0,
    )


class Fitting:
    """Fits a network on some tasks of a graph and keeps the checkpoint with the least loss on held ones."""

    def __init__(
        self, data: GraphData, arguments: GnnArguments, *, fit: IndexArray, held: IndexArray, queries: Queries
    ) -> None:
        """Build the network and its optimisers; ``held`` are rows of ``queries``."""
        self._data, self._arguments = data, arguments
        self._fit, self._held, self._queries = fit, held, queries
        self._rng = np.random.default_rng([arguments.seed, 2])
        self._clock: Clock = SystemClock()
        self._net = GnnNet(data.shape).to(data.device)
        self._start_recogniser()
        self._optimisers = list(_optimisers(self._net, arguments.rate))
        self._first_rates = [[group["lr"] for group in one.param_groups] for one in self._optimisers]

    @property
    def net(self) -> GnnNet:
        """Return the network, as the last pass or the best checkpoint left it."""
        return self._net

    def _start_recogniser(self) -> None:
        graph = self._data.graph
        weights = recogniser(
            graph.tensors.task_vectors[self._fit],
            graph.skill[self._fit],
            graph.tensors.skill_names,
            seed=self._arguments.seed,
        )
        with torch.no_grad():
            self._net.skill.weight.copy_(torch.as_tensor(weights[:-1].T))
            self._net.skill.bias.copy_(torch.as_tensor(weights[-1]))

    def run(self, say: Say, *, validated: str) -> TrainingCard:
        """Train, put the best checkpoint in place, and say how it went."""
        begun = self._clock.monotonic()
        passes = self._arguments.passes if len(self._fit) > 1 else 0  # one task alone has nothing to be predicted from
        measured = [self._measure()]
        best = _copied(self._net)
        kept = 0
        for number in range(1, passes + 1):
            say(bar("training gnn", number - 1, passes, self._clock.monotonic() - begun))
            self._one_pass(number)
            measured.append(self._measure())
            if not len(self._held) or measured[-1][0] < min(loss for loss, _ in measured[:-1]):
                best, kept = _copied(self._net), number
            elif number - kept >= PATIENCE:
                break
        self._net.load_state_dict(best)
        graph = self._data.graph
        return TrainingCard(
            tasks=len(graph),
            agents=len(graph.cards),
            outcomes=int(graph.seen.sum()),
            skills=len(graph.tensors.skill_names),
            entities=len(graph.tensors.entity_names),
            validated=validated,
            passes=kept,
            loss=tuple(round(loss, 6) for loss, _ in measured),
            quality=tuple(round(quality, 6) for _, quality in measured),
            seconds=round(self._clock.monotonic() - begun, 1),
            device=str(self._data.device),
            torch=torch.__version__,
        )

    def _one_pass(self, number: int) -> None:
        self._net.train()
        passed = (number - 1) / max(1, self._arguments.passes - 1)
        for optimiser, rates in zip(self._optimisers, self._first_rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * (1.0 - (1.0 - LAST_RATE) * passed)
        order = self._rng.permutation(self._fit)
        # what a step predicts is hidden from it: of a small table it may take no more than is hidden anyway
        size = min(BATCH, max(1, int(self._arguments.hide * len(order))))
        for start in range(0, len(order), size):
            self._step(order[start : start + size])

    def _step(self, rows: IndexArray) -> None:
        data, hidden = self._data, self._arguments.hide
        shown = np.zeros(len(data.graph), np.bool_)
        shown[self._fit] = self._rng.random(len(self._fit)) >= hidden
        shown[rows] = False
        if not shown.any():  # of a handful of tasks all may be hidden by chance
            shown[np.setdiff1d(self._fit, rows)] = True
        tasks = torch.as_tensor(np.flatnonzero(shown), device=data.device)
        seen = data.queries.seen * torch.as_tensor(shown, device=data.device)[:, None]
        trained = self._thin(seen)
        nodes, place = self._nodes(tasks, seen)
        batch = data.batch(data.queries, torch.as_tensor(rows, device=data.device), seen, place, trained=trained)
        score, correction = self._net(batch, data.visible(seen, tasks), nodes)
        loss = self._loss(score, correction, data.queries, torch.as_tensor(rows, device=data.device), seen)
        if len(data.graph.tensors.skill_names) > 1:
            loss = loss + SKILL_LOSS * self._skill_loss(rows)
        for optimiser in self._optimisers:
            optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        for optimiser in self._optimisers:
            optimiser.step()

    def _thin(self, seen: Tensor) -> Tensor:
        """Hide all but a few outcomes of some agents, in place, and return 1 for each agent left as it was."""
        agents = seen.shape[1]
        whole = torch.ones(agents, device=seen.device)
        if self._rng.random() >= THINNED_STEPS or agents < 2:
            return whole
        for agent in self._rng.choice(agents, max(1, agents // THINNED_AGENTS), replace=False).tolist():
            known = torch.nonzero(seen[:, agent]).flatten().cpu().numpy()
            kept = self._rng.permutation(known)[: int(self._rng.choice(FEW))]
            seen[:, agent] = 0.0
            seen[torch.as_tensor(kept, device=seen.device), agent] = 1.0
            whole[agent] = 0.0
        return whole

    def _nodes(self, tasks: Tensor, seen: Tensor) -> tuple[dict[str, Tensor] | None, Tensor]:
        if not self._arguments.deep:
            return None, torch.full((len(self._data.graph),), -1, device=self._data.device)
        sampled = tasks.cpu().numpy()
        if len(sampled) > CONTEXT:
            sampled = np.sort(self._rng.choice(sampled, CONTEXT, replace=False))
        part, place = self._data.messages(torch.as_tensor(sampled, device=self._data.device), seen)
        return self._net.encode(part)[-1], place

    def _loss(self, score: Tensor, correction: Tensor, of: Queries, rows: Tensor, seen: Tensor) -> Tensor:
        quality, known = of.quality[rows], of.seen[rows]
        if self._data.graph.exclusive:
            return self._label_loss(score, quality)
        weight = known * of.importance[rows]
        each = functional.binary_cross_entropy_with_logits(score, quality, reduction="none")
        loss = (each * weight).sum() / weight.sum().clamp(min=1.0)
        loss = loss + RANKING * self._ranking_loss(score, quality, known)
        if self._arguments.deep:
            loss = loss + COST_LOSS * self._cost_loss(correction, of, rows, seen)
        return loss

    def _label_loss(self, score: Tensor, quality: Tensor) -> Tensor:
        nobody = self._net.number("nobody").expand(len(score), 1)
        wanted = torch.cat([quality, 1.0 - quality.sum(dim=1, keepdim=True)], dim=1)
        return functional.cross_entropy(torch.cat([score, nobody], dim=1), wanted)

    def _ranking_loss(self, score: Tensor, quality: Tensor, known: Tensor) -> Tensor:
        """Return the divergence of the choice from the targets, over the agents observed on each task."""
        lowest = (1.0 - known) * -1e4
        wanted = functional.softmax(quality / TEMPERATURE + lowest, dim=1)
        if not self._arguments.soft:
            wanted = functional.one_hot((quality + lowest).argmax(dim=1), quality.shape[1]).float()
        wanted = (1.0 - SMOOTHING) * wanted + SMOOTHING * known / known.sum(dim=1, keepdim=True).clamp(min=1.0)
        chosen = functional.log_softmax(torch.sigmoid(score) / TEMPERATURE + lowest, dim=1)
        several = known.sum(dim=1) > 1
        each = (wanted * (torch.log(wanted.clamp(min=SMALLEST)) - chosen) * known).sum(dim=1)
        return (each * several).sum() / several.sum().clamp(min=1)

    def _cost_loss(self, correction: Tensor, of: Queries, rows: Tensor, seen: Tensor) -> Tensor:
        """Return how far the logarithm of the cost is off that of the agent's mean over what is visible."""
        paid = self._data.queries.priced * seen
        mean = (self._data.queries.cost * paid).sum(dim=0) / paid.sum(dim=0).clamp(min=1.0)
        usable = of.priced[rows] * (of.cost[rows] > LEAST_COST) * (mean > LEAST_COST)
        wanted = torch.log(of.cost[rows].clamp(min=LEAST_COST)) - torch.log(mean.clamp(min=LEAST_COST))
        each = functional.smooth_l1_loss(correction, wanted, reduction="none")
        return (each * usable).sum() / usable.sum().clamp(min=1.0)

    def _skill_loss(self, rows: IndexArray) -> Tensor:
        places = torch.as_tensor(rows, device=self._data.device)
        skill = self._data.skill[places]
        known = skill >= 0
        if not bool(known.any()):
            return torch.zeros((), device=self._data.device)
        logits = self._net.recognised(self._data.queries.features[places[known]])
        return functional.cross_entropy(logits, skill[known])

    @torch.no_grad()
    def _measure(self) -> tuple[float, float]:
        """Return the mean loss on the held tasks, and the quality of choosing the best there."""
        if not len(self._held):
            return 0.0, 0.0
        self._net.eval()
        shown = np.zeros(len(self._data.graph), np.float32)
        shown[self._fit] = 1.0
        seen = self._data.queries.seen * torch.as_tensor(shown, device=self._data.device)[:, None]
        tasks = torch.as_tensor(self._fit, device=self._data.device)
        nodes, place = None, torch.full((len(self._data.graph),), -1, device=self._data.device)
        if self._arguments.deep:
            part, place = self._data.messages(tasks, seen)
            nodes = self._net.encode(part)[-1]
        visible = self._data.visible(seen, tasks)
        losses, qualities = [], []
        for start in range(0, len(self._held), BATCH):
            rows = torch.as_tensor(self._held[start : start + BATCH], device=self._data.device)
            score, _ = self._net(self._data.batch(self._queries, rows, seen, place), visible, nodes)
            quality, known = self._queries.quality[rows], self._queries.seen[rows]
            losses.append(self._held_loss(score, quality, known) * len(rows))
            best = (score - 1e4 * (1.0 - known)).argmax(dim=1)
            qualities.append(quality.gather(1, best[:, None]).sum())
        total = len(self._held)
        return float(torch.stack(losses).sum()) / total, float(torch.stack(qualities).sum()) / total

    def _held_loss(self, score: Tensor, quality: Tensor, known: Tensor) -> Tensor:
        if self._data.graph.exclusive:
            return self._label_loss(score, quality)
        each = functional.binary_cross_entropy_with_logits(score, quality, reduction="none")
        return (each * known).sum() / known.sum().clamp(min=1.0)

    @torch.no_grad()
    def handed_over(self, card: TrainingCard) -> Trained:
        """Return the network and the embeddings of all nodes, the held tasks among them."""
        self._net.eval()
        data = self._data
        hidden = (1, self._arguments.hidden)
        states = []
        if self._arguments.deep:
            part, _ = data.messages(torch.arange(len(data.graph), device=data.device), data.queries.seen)
            states = self._net.encode(part)
        silent = 1 + LAYERS  # without a product head nothing is embedded
        tasks = [state["task"] for state in states] or [torch.zeros(len(data.graph), hidden[1])] * silent
        skills = [state["skill"] for state in states] or [torch.zeros(data.shape.skills, hidden[1])] * silent
        entities = states[-1]["entity"] if self._arguments.entities and states else torch.zeros(0, hidden[1])
        return Trained(
            weights=self._net.exported(),
            numbers=PathNumbers(**{name: self._net.numbers()[name] for name in PATHS}),
            graph=data.graph,
            exclusive=data.graph.exclusive,
            tasks=torch.stack(tasks, dim=1).cpu().numpy(),
            skills=torch.stack(skills, dim=1).cpu().numpy(),
            entities=entities.cpu().numpy(),
            card=card,
        )


def _optimisers(net: GnnNet, rate: float) -> Iterator[torch.optim.Optimizer]:
    """Yield AdamW for the matrices and the paths, and AdaGrad for the wide part, whose words are rare."""
    paths: list[nn.Parameter] = []
    wide: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in net.named_parameters():
        kind = paths if name.startswith("paths.") else wide if name.startswith(("wide.", "words.")) else rest
        kind.append(parameter)
    groups = [
        {"params": rest, "lr": rate, "weight_decay": DECAY},
        {"params": paths, "lr": PATH_RATE * rate, "weight_decay": 0.0},
    ]
    yield torch.optim.AdamW(groups)
    if wide:
        yield torch.optim.Adagrad(wide, lr=WIDE_RATE)


def _copied(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in net.state_dict().items()}
