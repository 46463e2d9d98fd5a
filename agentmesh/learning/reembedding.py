"""The embedder that something was learned with, known by its version alone."""

from collections.abc import Sequence

from agentmesh.embed.named import embedder_named
from agentmesh.errors import ConfigError
from agentmesh.protocols import Embedder
from agentmesh.types import VectorArray


class EmbedderOf:
    """Embeds as a version that is only named; built when an experience of another embedder has to be embedded again.

    >>> EmbedderOf("hashing-1-512").embed(["petra"]).shape
    (1, 512)
    """

    is_quick = False

    def __init__(self, version: str) -> None:
        """Take the version; nothing is loaded yet."""
        self.version = version
        self._embedder: Embedder | None = None

    @property
    def dimension(self) -> int:
        """Return the length of its vectors."""
        return self._found().dimension

    def embed(self, texts: Sequence[str]) -> VectorArray:
        """Embed texts, in order.

        Raises:
            ConfigError: what is installed under its name is another version.
            PluginError: nothing is installed under its name.
        """
        return self._found().embed(texts)

    def _found(self) -> Embedder:
        if self._embedder is None:
            embedder = embedder_named(self.version.partition("-")[0])
            if embedder.version != self.version:
                raise ConfigError(f"the embedder {self.version!r} is needed; installed is {embedder.version!r}")
            self._embedder = embedder
        return self._embedder
