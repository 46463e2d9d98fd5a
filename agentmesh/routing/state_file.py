"""A router in a file: its state as safetensors, and beside it a card in JSON that says what it is. Never pickle.

The card holds how the router is built, which version it is, how its training went if it was trained, what it was
written with, and the sha256 of the file. A file whose card does not fit it is refused.

What is read from a file has no log behind it: it stands as if it had been fitted, and a mesh teaches it from there on::

    write_router(Path("gnn.safetensors"), router)
    mesh = Mesh(agents, router=read_router(Path("gnn.safetensors")))
"""

from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError

from agentmesh.errors import ConfigError
from agentmesh.frozen import Record
from agentmesh.records import RouterState
from agentmesh.routing.base import Router, ScoringRouter
from agentmesh.routing.named import router_named
from agentmesh.types import JsonValue

FORMAT: Final = 1
BASE_DIGITS: Final = 12
PACKAGES: Final = ("agentmesh-routing", "numpy", "torch", "torch-geometric")


class StateCard(Record):
    """What stands beside a state: ``NAME.json`` beside ``NAME.safetensors``.

    ``training`` is what a trained router says of its training, {} for others. ``embedder`` is the version of the
    embedder whose vectors it reads, "" where it was not said. ``written_with`` are versions of packages.
    """

    format: Literal[1] = FORMAT
    router: str
    arguments: Mapping[str, JsonValue]
    parameters: str
    base: str = ""
    sequence: int = Field(ge=0)
    at: float = 0.0
    embedder: str = ""
    training: Mapping[str, JsonValue] = Field(default_factory=dict)
    written_with: Mapping[str, str] = Field(default_factory=dict)
    sha256: str
    bytes: int

    @property
    def version(self) -> str:
        """Return the version of the router, as decisions name it."""
        return f"{self.parameters}@{self.sequence}"


def card_path(path: Path) -> Path:
    """Return where the card of a state stands.

    >>> card_path(Path("gnn.safetensors")).name
    'gnn.json'
    """
    return path.with_suffix(".json")


def card_of(router: Router, state: RouterState, *, embedder: str = "") -> StateCard:
    """Return the card of a router's state."""
    return StateCard(
        router=router.name,
        arguments=dict(router.parameters),
        parameters=state.parameters,
        base=router.base,
        sequence=state.sequence,
        at=state.at,
        embedder=embedder,
        training=router.training,
        written_with=_versions(),
        sha256=sha256(state.payload).hexdigest(),
        bytes=len(state.payload),
    )


def write_router(path: Path, router: Router, *, embedder: str = "") -> StateCard:
    """Write a router's state to ``path`` and its card beside it; each is whole, or not there at all.

    Args:
        path: A file that ends in ``.safetensors``.
        router: The router.
        embedder: The version of the embedder whose vectors it learned.

    Raises:
        ConfigError: the file cannot be written, or ends otherwise.
    """
    if path.suffix != ".safetensors":
        raise ConfigError(f"{str(path)!r} is no name for a state; give one that ends in '.safetensors'")
    state = router.snapshot()
    card = card_of(router, state, embedder=embedder)
    write_whole(path, state.payload)
    write_whole(card_path(path), (card.model_dump_json(indent=2) + "\n").encode())
    return card


def read_card(path: Path) -> StateCard:
    """Read the card of a state.

    Raises:
        ConfigError: it is missing, malformed, or of another version of the format.
    """
    beside = card_path(path)
    try:
        return StateCard.model_validate_json(beside.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{str(beside)!r} cannot be read: {error.strerror}; a state needs its card beside it"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(
            f"{str(beside)!r} is no card of format {FORMAT}: {where}: {first['msg']}; export the router again"
        ) from error


def read_router(path: Path) -> Router:
    """Build the router that a card names and give it the state in ``path``.

    Numbers of experiences belong to one log. So a :class:`~agentmesh.routing.base.ScoringRouter` that has learned some
    counts from 0 again, and what it learned is its ``base``, named by the file; any other router keeps its number.

    Raises:
        ConfigError: a file is missing, cut off, changed, or of another version.
        PluginError: there is no router of this name.
    """
    card = read_card(path)
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if len(payload) != card.bytes or sha256(payload).hexdigest() != card.sha256:
        raise ConfigError(
            f"{str(path)!r} is not the file that its card was written for: {len(payload)} bytes, sha256 "
            f"{sha256(payload).hexdigest()[:12]}; expected {card.bytes} bytes, sha256 {card.sha256[:12]}"
        )
    router = router_named(card.router, card.arguments)
    state = RouterState(
        router=card.router, parameters=card.parameters, sequence=card.sequence, at=card.at, payload=payload
    )
    router.restore(state)
    if router.sequence and isinstance(router, ScoringRouter):
        router.rebase(f"{card.version} {card.sha256[:BASE_DIGITS]}")
    return router


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigError(
            f"{str(path)!r} cannot be written: {error.strerror}; name a file in a folder that exists"
        ) from error


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
