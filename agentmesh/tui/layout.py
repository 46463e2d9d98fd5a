"""How the app was left - its colours, its screen and what was looked for there - so that it opens like that again."""

from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from platformdirs import user_state_path
from pydantic import ValidationError

from agentmesh.frozen import Record
from agentmesh.records import RunStatus

LARGEST: Final = 1_000_000
"""Bytes of a layout that are read: what is larger is none."""


class Layout(Record):
    """What the app looked like.

    >>> Layout(screen="runs", state=RunStatus.FAILED).model_dump_json(exclude_defaults=True)
    '{"screen":"runs","state":"failed"}'
    """

    theme: str | None = None
    """The name of the colours; ``None`` and one that is unknown mean the first."""
    screen: str = "live"
    """The name of the screen in front, without what lay above it."""
    find: str = ""
    """What was looked for among the live runs."""
    search: str = ""
    """What was searched for among the stored runs."""
    state: RunStatus | None = None
    """The state in which stored runs were listed, ``None`` for all."""
    stages: bool = False
    """Whether stored runs that another one started were listed too."""


def layout_path() -> Path:
    """Return where the platform wants such a file; on Linux that is ``$XDG_STATE_HOME``, else ``~/.local/state``."""
    return user_state_path("agentmesh", appauthor=False) / "watch.json"


def read_layout(path: Path) -> Layout:
    """Read how the app was left; a file that is missing, or holds no layout, means a new one."""
    with suppress(OSError, ValidationError), path.open("rb") as file:
        return Layout.model_validate_json(file.read(LARGEST))
    return Layout()


def write_layout(path: Path, layout: Layout) -> None:
    """Write how the app was left, as a whole or not at all; what cannot be written is let go."""
    with suppress(OSError, ValueError):  # a value: what was pasted into a search need not be text that can be encoded
        content = layout.model_dump_json(indent=2).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            draft = Path(file.name)
            file.write(content)
        try:
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
