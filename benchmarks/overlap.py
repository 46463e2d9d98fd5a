"""How often two agents are confused for how alike their cards are: where ``agents overlap`` has its rule from.

For each pair of agents of a set: the cosine of their cards, and the share of their val tasks that lie nearer to the
other one's card. Of the rule (agentmesh.agents.resemblance) one number is fitted; a set is predicted with the number
of the other set. Then the log loss of the rule with the number of both, alone and corrected by held-out examples that
weigh more or less beside it. Test rows are not read.

    python benchmarks/overlap.py [--embedders static hashing onnx] [--json]
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from agentmesh.agents.capability import capability_texts, capability_vectors
from agentmesh.agents.resemblance import expected_confusion, strayed_examples
from agentmesh.embed.named import embedder_named
from agentmesh.protocols import Embedder
from agentmesh.recorded import load_set
from agentmesh.types import FloatArray

SETS = Path(__file__).parent / "sets"
NAMES = ("clinc150", "hwu64")
TRIED = np.arange(1.0, 8.0, 0.05)
WEIGHTS = (10.0, 20.0, 40.0, 80.0)
BANDS = (-1.0, 0.2, 0.4, 0.6, 0.8, 1.01)


@dataclass(frozen=True)
class Band:
    """Pairs of agents whose cosine lies in one band: what was predicted from the other set, and what was seen."""

    low: float
    high: float
    pairs: int
    predicted: float
    seen: float


@dataclass(frozen=True)
class Row:
    """One embedder, with or without examples on the cards, on one set."""

    embedder: str
    examples: bool
    set: str
    sharpness: float
    sharpness_of_both: float
    bands: tuple[Band, ...]
    loss: float
    corrected_loss: dict[float, float]


@dataclass(frozen=True)
class Pairs:
    """The pairs of agents of a set that both have val tasks: arrays of one number a pair."""

    cosines: FloatArray
    confusion: FloatArray
    strayed: FloatArray
    examples: FloatArray


def pairs_of(name: str, embedder: Embedder, *, examples: bool) -> Pairs:
    """Read the val tasks of a set and compare its cards."""
    recorded = load_set(SETS / name)
    rows = recorded.open("val")
    cards = [card if examples else card.model_copy(update={"examples": ()}) for card in recorded.agents]
    vectors = capability_vectors([capability_texts(card) for card in cards], embedder).astype(np.float64)
    scores = embedder.embed(rows.texts).astype(np.float64) @ vectors.T
    place = {agent_id: column for column, agent_id in enumerate(recorded.agent_ids)}
    right = np.array([place[labels[0]] if labels else -1 for labels in rows.labels])
    away = np.full((len(cards), len(cards)), np.nan)
    for agent in np.unique(right[right >= 0]):
        own = scores[right == agent]
        ahead = own - own[:, [agent]]
        away[agent] = np.where(np.abs(ahead) < 1e-6, 0.5, ahead > 0).mean(axis=0)
    upper = np.triu_indices(len(cards), 1)
    confusion = ((away + away.T) / 2)[upper]
    strayed, shown = (
        strayed_examples(cards, embedder),
        np.array([len(card.examples) for card in cards], dtype=np.float64),
    )
    parts = (vectors @ vectors.T, (away + away.T) / 2, strayed + strayed.T, shown[:, None] + shown[None, :])
    return Pairs(*(part[upper][~np.isnan(confusion)] for part in parts))


def predicted(pairs: Pairs, sharpness: float) -> FloatArray:
    """Return what the rule says of each pair."""
    return np.array([expected_confusion(cosine, sharpness) for cosine in pairs.cosines])


def log_loss(pairs: Pairs, said: FloatArray) -> float:
    """Return the mean log loss of what was said of each pair."""
    sure = np.clip(said, 1e-6, 1 - 1e-6)
    return float(-(pairs.confusion * np.log(sure) + (1 - pairs.confusion) * np.log(1 - sure)).mean())


def bands(pairs: Pairs, sharpness: float) -> tuple[Band, ...]:
    """Compare the rule with what was seen, by bands of the cosine."""
    found, cosines, said = [], pairs.cosines, predicted(pairs, sharpness)
    for low, high in pairwise(BANDS):
        inside = (cosines >= low) & (cosines < high)
        if inside.any():
            means = [round(float(values[inside].mean()), 4) for values in (said, pairs.confusion)]
            found.append(Band(low, high, int(inside.sum()), *means))
    return tuple(found)


def measure(name: str, *, examples: bool) -> list[Row]:
    """Fit the rule on each set and on both, and predict each from the other."""
    embedder = embedder_named(name)
    seen = [pairs_of(one, embedder, examples=examples) for one in NAMES]
    losses = np.array([[log_loss(pairs, predicted(pairs, sharp)) for sharp in TRIED] for pairs in seen])
    best = [round(float(TRIED[place]), 2) for place in np.argmin(losses, axis=1)]
    both = round(float(TRIED[np.argmin(losses.sum(axis=0))]), 2)
    return [
        Row(name, examples, NAMES[i], best[i], both, bands(pairs, best[1 - i]), *corrected_losses(pairs, both))
        for i, pairs in enumerate(seen)
    ]


def corrected_losses(pairs: Pairs, sharpness: float) -> tuple[float, dict[float, float]]:
    """Return the log loss of the rule alone, and corrected by held-out examples under each weight of the rule."""
    rule = predicted(pairs, sharpness)
    corrected = {
        weight: log_loss(pairs, (weight * rule + pairs.strayed) / (weight + pairs.examples)) for weight in WEIGHTS
    }
    return round(log_loss(pairs, rule), 5), {weight: round(loss, 5) for weight, loss in corrected.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embedders", nargs="+", default=["static", "hashing", "onnx"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows = [row for name in options.embedders for examples in (True, False) for row in measure(name, examples=examples)]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    for row in rows:
        cards = "with examples" if row.examples else "without examples"
        print(
            f"{row.embedder}, cards {cards}, {row.set}: "
            f"sharpness {row.sharpness:.2f}, of both sets {row.sharpness_of_both:.2f}"
        )
        if row.examples:
            corrected = ", ".join(f"{loss:.5f} at weight {weight:g}" for weight, loss in row.corrected_loss.items())
            print(f"  log loss of the rule {row.loss:.5f}; corrected by examples {corrected}")
        for band in row.bands:
            print(
                f"  cosine {band.low:+.1f} to {band.high:+.1f}: {band.pairs:5} pairs, "
                f"predicted from the other set {band.predicted:.4f}, seen {band.seen:.4f}"
            )


if __name__ == "__main__":
    main()
