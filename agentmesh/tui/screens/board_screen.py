"""What all screens that show the board have in common."""

from textual.screen import Screen

from agentmesh.tui.board import Board
from agentmesh.tui.watching import Watched
from agentmesh.tui.widgets.play_bar import PlayBar


class BoardScreen(Screen[None]):
    """A screen that the app has drawn again when the board has changed, at most a few times a second."""

    @property
    def watched(self) -> Watched:
        """Return what the app watches."""
        return self.app.watched  # type: ignore[attr-defined, no-any-return]  # the only app that has such screens

    def show_board(self, board: Board, now: float) -> None:
        """Draw what is known; ``now`` is Unix seconds."""
        raise NotImplementedError

    def on_screen_resume(self) -> None:
        """Draw at once when the screen comes to the front."""
        self.draw()

    def draw(self) -> None:
        """Draw what is known now, unless the screen is still being laid out: then it is drawn when that is done."""
        if self.is_mounted:
            self.show_board(self.watched.board, self.watched.clock.now())
            for bar in self.query(PlayBar):
                bar.show(self.watched.source)
        else:
            self.call_after_refresh(self.draw)

    def copy_id(self, run_id: str | None) -> None:
        """Copy the id of a run, where there is one."""
        if run_id:
            self.app.copy_to_clipboard(run_id)
            self.notify(f"{run_id} is copied, where the terminal allows it", markup=False)
