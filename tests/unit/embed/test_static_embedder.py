"""The default embedder and the files it ships with."""

import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.embed import static
from agentmesh.embed.static import StaticEmbedder, file_sha256, shipped_data
from agentmesh.errors import ConfigError
from agentmesh.protocols import Embedder

SHIPPED = StaticEmbedder()
FILES = {"table_sha256": "table.safetensors", "tokenizer_sha256": "tokenizer.json"}
VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "red": 2, "blue": 3}


def write_tokenizer(folder: Path) -> str:
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": VOCABULARY,
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    return file_sha256(folder / "tokenizer.json")


def write_table(folder: Path, **arrays: np.ndarray) -> str:
    (folder / "table.safetensors").write_bytes(safetensors.numpy.save(arrays))
    return file_sha256(folder / "table.safetensors")


def small_embedder(folder: Path, **arrays: np.ndarray) -> StaticEmbedder:
    tokenizer = write_tokenizer(folder)
    return StaticEmbedder(folder, table_sha256=write_table(folder, **arrays), tokenizer_sha256=tokenizer, dimension=2)


@pytest.fixture
def small(tmp_path: Path) -> StaticEmbedder:
    return small_embedder(
        tmp_path,
        embeddings=np.array([[9, 9], [9, 9], [3, 0], [0, 4]], dtype=np.int8),
        scale=np.array([1, 1, 0.5, 0.25], dtype=np.float16),
    )


def test_it_is_an_embedder_whose_shape_is_as_declared() -> None:
    assert isinstance(SHIPPED, Embedder)
    vectors = SHIPPED.embed(["one", "two words"])
    assert vectors.shape == (2, SHIPPED.dimension) == (2, 384)
    assert vectors.dtype == np.float32


def test_no_text_gives_no_row() -> None:
    assert SHIPPED.embed([]).shape == (0, 384)


def test_the_version_names_the_table() -> None:
    table = shipped_data().joinpath("table.safetensors").read_bytes()
    assert SHIPPED.version == f"static-{hashlib.sha256(table).hexdigest()[:12]}"


def test_rows_are_scaled_summed_and_divided_by_the_length(small: StaticEmbedder) -> None:
    vectors = small.embed(["red", "Red red blue"])
    np.testing.assert_allclose(vectors, [[1, 0], [3 / 10**0.5, 1 / 10**0.5]], atol=1e-6)


def test_unknown_words_are_dropped(small: StaticEmbedder) -> None:
    np.testing.assert_array_equal(small.embed(["green red"]), small.embed(["red"]))


def test_a_text_of_unknown_words_gives_zeros(small: StaticEmbedder) -> None:
    assert not small.embed(["green", "", "\x00"]).any()


def test_only_the_first_512_tokens_count(small: StaticEmbedder) -> None:
    np.testing.assert_array_equal(small.embed(["red " * 512 + "blue " * 50]), small.embed(["red"]))


def test_the_shipped_table_tells_meanings_apart() -> None:
    request, same, other = SHIPPED.embed(
        ["How do I change a tyre?", "Instructions for swapping a wheel", "Who wrote Faust?"]
    )
    assert request @ same > request @ other + 0.1


def test_a_megabyte_counts_like_its_first_8192_characters() -> None:
    text = "how do I change it? " * 50_000
    long, cut = SHIPPED.embed([text, text[:8192]])
    np.testing.assert_array_equal(long, cut)


def test_lone_surrogates_are_passed_over() -> None:
    np.testing.assert_array_equal(SHIPPED.embed(["hi\ud83d there"]), SHIPPED.embed(["hi there"]))


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=40), max_size=4))
def test_any_text_gives_a_row_of_length_one_or_zero_whatever_stands_beside_it(texts: list[str]) -> None:
    together = SHIPPED.embed(texts)
    for row, text in zip(together, texts, strict=True):
        np.testing.assert_array_equal(row, SHIPPED.embed([text])[0])
        assert float(np.linalg.norm(row)) in (0.0, pytest.approx(1.0, abs=1e-5))


def test_threads_that_load_at_once_agree() -> None:
    embedder = StaticEmbedder()
    with ThreadPoolExecutor(8) as pool:
        vectors = list(pool.map(lambda _: embedder.embed(["at once"])[0].tobytes(), range(32)))
    assert len(set(vectors)) == 1


def test_another_process_gives_the_same_vector_without_loading_torch() -> None:
    code = (
        "import sys; from agentmesh.embed.static import StaticEmbedder as S;"
        "print(S().embed(['same text'])[0].tobytes().hex(), 'torch' in sys.modules)"
    )
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert other.stdout.split() == [SHIPPED.embed(["same text"])[0].tobytes().hex(), "False"]


def test_embedders_of_the_same_files_share_what_was_read_while_one_of_them_is_there(tmp_path: Path) -> None:
    first = small_embedder(tmp_path, embeddings=np.ones((4, 2), np.int8), scale=np.ones(4, np.float16))
    hashes = {name: file_sha256(tmp_path / file) for name, file in FILES.items()}
    vectors = first.embed(["red"])
    (tmp_path / "table.safetensors").unlink()
    np.testing.assert_array_equal(StaticEmbedder(tmp_path, **hashes, dimension=2).embed(["red"]), vectors)
    for options in ({**hashes, "table_sha256": "0" * 64, "dimension": 2}, {**hashes, "dimension": 3}):
        with pytest.raises(ConfigError, match="cannot read"):
            StaticEmbedder(tmp_path, **options).embed(["red"])
    del first
    with pytest.raises(ConfigError, match="cannot read"):
        StaticEmbedder(tmp_path, **hashes, dimension=2).embed(["red"])


@pytest.mark.parametrize("name", ["table.safetensors", "tokenizer.json"])
def test_a_changed_file_is_named(tmp_path: Path, name: str) -> None:
    for file in ("table.safetensors", "tokenizer.json"):
        shutil.copy(Path(str(shipped_data().joinpath(file))), tmp_path / file)
    changed = bytearray((tmp_path / name).read_bytes())
    changed[-1] ^= 1
    (tmp_path / name).write_bytes(changed)
    with pytest.raises(ConfigError, match=rf"{name}' has sha256 '[0-9a-f]+', expected '[0-9a-f]+'"):
        StaticEmbedder(tmp_path).embed(["text"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read '.*tokenizer.json': No such file"):
        StaticEmbedder(tmp_path).embed(["text"])


def test_a_tokenizer_file_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", "utf-8")
    embedder = StaticEmbedder(tmp_path, tokenizer_sha256=file_sha256(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match=r"tokenizer\.json' is no tokenizer file"):
        embedder.embed(["text"])


def test_a_table_that_is_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    tokenizer = write_tokenizer(tmp_path)
    (tmp_path / "table.safetensors").write_bytes(b"not a table")
    embedder = StaticEmbedder(
        tmp_path, table_sha256=file_sha256(tmp_path / "table.safetensors"), tokenizer_sha256=tokenizer
    )
    with pytest.raises(ConfigError, match="no safetensors file"):
        embedder.embed(["text"])


def test_a_table_with_too_few_rows_is_refused(tmp_path: Path) -> None:
    embedder = small_embedder(tmp_path, embeddings=np.zeros((3, 2), dtype=np.int8), scale=np.zeros(3, dtype=np.float16))
    with pytest.raises(ConfigError, match=r"holds .*\(3, 2\).*, expected .*\(4, 2\)"):
        embedder.embed(["text"])


def test_the_constants_describe_what_ships() -> None:
    assert file_sha256(shipped_data().joinpath("table.safetensors")) == static.TABLE_SHA256
    assert file_sha256(shipped_data().joinpath("tokenizer.json")) == static.TOKENIZER_SHA256
    assert len(shipped_data().joinpath("table.safetensors").read_bytes()) < 12_000_000
