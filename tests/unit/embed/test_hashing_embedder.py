"""The embedder without weights."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmesh.embed.hashing import HashingEmbedder
from agentmesh.errors import ConfigError
from agentmesh.protocols import Embedder


def test_it_is_an_embedder_whose_shape_is_as_declared() -> None:
    embedder = HashingEmbedder(64)
    assert isinstance(embedder, Embedder)
    vectors = embedder.embed(["one", "two words"])
    assert vectors.shape == (2, embedder.dimension) == (2, 64)
    assert vectors.dtype == np.float32


def test_no_text_gives_no_row() -> None:
    assert HashingEmbedder().embed([]).shape == (0, 512)


def test_the_version_names_the_dimension() -> None:
    assert HashingEmbedder(64).version != HashingEmbedder(128).version


def test_a_text_without_a_word_gives_zeros() -> None:
    assert not HashingEmbedder().embed(["", " ", "?!", "\x00\x07"]).any()


def test_case_and_order_of_words_make_no_difference() -> None:
    a, b = HashingEmbedder().embed(["Reset my PASSWORD", "password reset my"])
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_misspelt_word_stays_close() -> None:
    right, wrong, other = HashingEmbedder().embed(["calculator", "calculater", "geography"])
    assert right @ wrong > 0.3 > right @ other


def test_a_megabyte_counts_like_its_first_8192_characters() -> None:
    text = "word " * 200_000
    long, cut = HashingEmbedder().embed([text, text[:8192]])
    np.testing.assert_array_equal(long, cut)


def test_another_process_gives_the_same_vector() -> None:
    code = (
        "from agentmesh.embed.hashing import HashingEmbedder as H; print(H().embed(['same text'])[0].tobytes().hex())"
    )
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert other.stdout.strip() == HashingEmbedder().embed(["same text"])[0].tobytes().hex()


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=20), max_size=5))
def test_a_row_depends_on_its_own_text_alone(texts: list[str]) -> None:
    embedder = HashingEmbedder(32)
    together = embedder.embed(texts)
    for row, text in zip(together, texts, strict=True):
        np.testing.assert_array_equal(row, embedder.embed([text])[0])


def test_a_dimension_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="got 0"):
        HashingEmbedder(0)
