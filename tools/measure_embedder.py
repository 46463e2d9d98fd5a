"""Measures an embedder on labelled sets: top-1 in scope from descriptions, class centroids, logistic regression.

Run as ``python tools/measure_embedder.py benchmarks/sets/clinc150 benchmarks/sets/hwu64 --split test``; needs
scikit-learn, which is in no extra of this package. Tune on ``val``; ``test`` is for the report.
"""

import argparse
import gzip
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.embed.onnx import OnnxEmbedder
from agentmesh.embed.static import TABLE_FILE, TOKENIZER_FILE, StaticEmbedder, file_sha256
from agentmesh.embed.texts import unit_rows
from agentmesh.protocols import Embedder
from agentmesh.types import IndexArray, VectorArray


def read_agents(folder: Path) -> tuple[list[str], list[str]]:
    """Return the agents' ids and descriptions."""
    rows = [json.loads(line) for line in (folder / "agents.jsonl").read_text("utf-8").splitlines()]
    return [row["id"] for row in rows], [row["description"] for row in rows]


def read_tasks(folder: Path, split: str, agents: list[str]) -> tuple[list[str], IndexArray]:
    """Return the texts of a split that have a label, and the index of their first label."""
    position = {agent: index for index, agent in enumerate(agents)}
    texts, labels = [], []
    with gzip.open(folder / "tasks.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            task = json.loads(line)
            if task["split"] == split and task["labels"]:
                texts.append(task["text"])
                labels.append(position[task["labels"][0]])
    return texts, np.array(labels)


def centroids(vectors: VectorArray, labels: IndexArray, classes: int) -> VectorArray:
    """Return the unit mean of each class.

    Shapes:
        vectors (m, d), labels (m,); returns (classes, d).
    """
    sums = np.zeros((classes, vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, labels, vectors)
    return unit_rows(sums)


def accuracy(chosen: NDArray[np.int64], labels: IndexArray) -> float:
    """Return the share of right choices."""
    return float(np.mean(chosen == labels))


def measure(embedder: Embedder, folder: Path, *, split: str, regression: bool) -> dict[str, float]:
    """Return the figures of one set."""
    agents, descriptions = read_agents(folder)
    texts, labels = read_tasks(folder, split, agents)
    train_texts, train_labels = read_tasks(folder, "train", agents)
    queries, train = embedder.embed(texts), embedder.embed(train_texts)
    figures = {
        "descriptions": accuracy(np.argmax(queries @ embedder.embed(descriptions).T, axis=1), labels),
        "centroids": accuracy(np.argmax(queries @ centroids(train, train_labels, len(agents)).T, axis=1), labels),
    }
    if regression:
        model = LogisticRegression(C=20, max_iter=1000).fit(train, train_labels)
        figures["logistic"] = accuracy(model.predict(queries), labels)
    return figures


def chosen_embedder(name: str) -> Embedder:
    """Return the shipped table, MiniLM, or the table in a folder."""
    if name == "static":
        return StaticEmbedder()
    if name == "hashing":
        return HashingEmbedder()
    if name == "onnx":
        return OnnxEmbedder()
    folder = Path(name)
    table, tokenizer = (file_sha256(folder / name) for name in (TABLE_FILE, TOKENIZER_FILE))
    return StaticEmbedder(folder, table_sha256=table, tokenizer_sha256=tokenizer)


def main() -> None:
    """Print one line of JSON for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument(
        "--embedder", default="static", help="static, onnx, or a folder that tools/distill_static.py wrote"
    )
    parser.add_argument("--regression", action="store_true", help="also fit logistic regression (minutes)")
    options = parser.parse_args()
    embedder = chosen_embedder(options.embedder)
    for folder in options.sets:
        figures = measure(embedder, folder, split=options.split, regression=options.regression)
        row = {"set": folder.name, "split": options.split, "embedder": embedder.version} | figures
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
