"""How far a run that is played has come, and the keys that steer it."""

from textual.widgets import Static

from agentmesh.tui.cells import bar
from agentmesh.tui.sources import PlayedSource, Source

WIDTH = 12


class PlayBar(Static):
    """Stands on each screen that shows a run; it is there only where one is played."""

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.display = False

    def show(self, source: Source) -> None:
        """Show where a source stands."""
        self.display = isinstance(source, PlayedSource)
        if isinstance(source, PlayedSource):
            self.update(playing_line(source))


def playing_line(source: PlayedSource) -> str:
    """Return position and speed of what is played, and its keys, in less than 80 columns."""
    place, length = source.position
    how = "paused" if source.paused else "ended" if source.is_over else "plays"
    state = f"{how} x{source.speed:g} {bar(place / length if length else 1.0, WIDTH)} {place}/{length}"
    return f"{state}  space stop/go  . step  < > speed  [ ] jump"
