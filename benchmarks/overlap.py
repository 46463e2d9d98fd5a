"""How often two agents are confused for how alike their cards are: where ``agents overlap`` has its rule from.

For each pair of agents of a set: the cosine of their cards, and the share of their val tasks that lie nearer to the
other one's card. Of the rule (agentmesh.agents.resemblance) one number is fitted; a set is predicted with the number
of the other set. Test rows are not read.

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
from agentmesh.agents.resemblance import expected_confusion
from agentmesh.embed.named import embedder_named
from agentmesh.protocols import Embedder
from agentmesh.recorded import load_set
from agentmesh.types import FloatArray

SETS = Path(__file__).parent / "sets"
NAMES = ("clinc150", "hwu64")
TRIED = np.arange(1.0, 8.0, 0.05)
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


def pairs_of(name: str, embedder: Embedder, *, examples: bool) -> tuple[FloatArray, FloatArray]:
    """Return cosine and confusion of each pair of agents that both have val tasks."""
    recorded = load_set(SETS / name)
    rows = recorded.open("val")
    cards = [card if examples else card.model_copy(update={"examples": ()}) for card in recorded.agents]
    vectors = capability_vectors([capability_texts(card) for card in cards], embedder).astype(np.float64)
    scores = embedder.embed(rows.texts).astype(np.float64) @ vectors.T
    place = {agent_id: column for column, agent_id in enumerate(recorded.agent_ids)}
    right = np.array([place[labels[0]] if labels else -1 for labels in rows.labels])
    strayed = np.full((len(cards), len(cards)), np.nan)
    for agent in np.unique(right[right >= 0]):
        own = scores[right == agent]
        ahead = own - own[:, [agent]]
        strayed[agent] = np.where(np.abs(ahead) < 1e-6, 0.5, ahead > 0).mean(axis=0)
    upper = np.triu_indices(len(cards), 1)
    cosines, confusion = (vectors @ vectors.T)[upper], ((strayed + strayed.T) / 2)[upper]
    return cosines[~np.isnan(confusion)], confusion[~np.isnan(confusion)]


def losses(cosines: FloatArray, confusion: FloatArray) -> FloatArray:
    """Return the mean log loss of the rule under each sharpness tried."""
    predicted = np.array([[expected_confusion(cosine, sharp) for cosine in cosines] for sharp in TRIED])
    predicted = np.clip(predicted, 1e-6, 1 - 1e-6)
    return np.asarray(-(confusion * np.log(predicted) + (1 - confusion) * np.log(1 - predicted)).mean(axis=1))


def bands(cosines: FloatArray, confusion: FloatArray, sharpness: float) -> tuple[Band, ...]:
    """Compare the rule with what was seen, by bands of the cosine."""
    found = []
    for low, high in pairwise(BANDS):
        inside = (cosines >= low) & (cosines < high)
        if inside.any():
            predicted = float(np.mean([expected_confusion(cosine, sharpness) for cosine in cosines[inside]]))
            found.append(
                Band(low, high, int(inside.sum()), round(predicted, 4), round(float(confusion[inside].mean()), 4))
            )
    return tuple(found)


def measure(name: str, *, examples: bool) -> list[Row]:
    """Fit the rule on each set and on both, and predict each from the other."""
    embedder = embedder_named(name)
    seen = [pairs_of(one, embedder, examples=examples) for one in NAMES]
    loss = [losses(*one) for one in seen]
    best = [float(TRIED[int(np.argmin(one))]) for one in loss]
    both = float(TRIED[int(np.argmin(loss[0] + loss[1]))])
    return [
        Row(name, examples, NAMES[i], round(best[i], 2), round(both, 2), bands(*seen[i], best[1 - i])) for i in (0, 1)
    ]


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
        for band in row.bands:
            print(
                f"  cosine {band.low:+.1f} to {band.high:+.1f}: {band.pairs:5} pairs, "
                f"predicted from the other set {band.predicted:.4f}, seen {band.seen:.4f}"
            )


if __name__ == "__main__":
    main()
