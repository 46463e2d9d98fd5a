"""What all screens that show the board have in common."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

from textual.screen import Screen

from agentmesh.display import shorten
from agentmesh.tui.board import Board
from agentmesh.tui.layout import Layout
from agentmesh.tui.watching import Watched
from agentmesh.tui.widgets.field import Field
from agentmesh.tui.widgets.play_bar import PlayBar
from agentmesh.tui.widgets.rows import Rows

LONGEST_NAMED: Final = 60
"""Characters of an id that a message shows."""

Said = ParamSpec("Said")


class BoardScreen(Screen[None]):
    """A screen that the app has drawn again when the board has changed, at most a few times a second."""

    def __init__(self) -> None:
        super().__init__()
        # the styles are as they were read: of a screen it has not shown yet, Textual thinks that they were changed,
        # and reads all of them anew, twice, which takes longer than all else that it does to show a screen
        self._css_update_count = self.app._css_update_count

    @property
    def watched(self) -> Watched:
        """Return what the app watches."""
        return self.app.watched  # type: ignore[attr-defined, no-any-return]  # the only app that has such screens

    @property
    def layout_left(self) -> Layout:
        """Return how the app was left the last time, and what was changed since."""
        return self.app.layout  # type: ignore[attr-defined, no-any-return]  # as above

    def remember(self, **changed: object) -> None:
        """Keep in mind what the next start is to begin with."""
        self.app.remember(**changed)  # type: ignore[attr-defined]  # as above

    @property
    def is_laid_out(self) -> bool:
        """Return whether the widgets of the screen are there: all were made, and none is being taken down."""
        return self.is_mounted and self.display and self.app.is_running

    def show_board(self, board: Board, now: float) -> None:
        """Draw what is known; ``now`` is Unix seconds."""
        raise NotImplementedError

    def on_screen_resume(self) -> None:
        """Draw at once when the screen comes to the front."""
        self.draw()

    def draw(self) -> None:
        """Draw what is known now, unless the screen is still being laid out: it resumes when that is done."""
        if self.is_laid_out:
            self.show_board(self.watched.board, self.watched.clock.now())
            for bar in self.query(PlayBar):
                bar.show(self.watched.source)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - as Textual has it
        """Offer to clear a field only while there is one."""
        return action != "clear" or any(field.display for field in self.query(Field))

    def enter_field(self) -> Field:
        """Show the field of the screen, and have what is typed go there."""
        field = self.query_one(Field)
        field.display = True
        field.focus()
        return field

    def leave_field(self) -> None:
        """Go from the field of the screen to its table; it stays in sight where something stands in it."""
        field = self.query_one(Field)
        field.display = bool(field.value.strip())
        self.query_one(Rows).focus()
        self.refresh_bindings()

    def action_clear(self) -> None:
        """Empty the field of the screen, and leave it."""
        self.query_one(Field).value = ""
        self.leave_field()

    def copy_id(self, run_id: str | None) -> None:
        """Copy the id of a run, where there is one."""
        if run_id:
            self.copy(run_id, shorten(run_id, LONGEST_NAMED))

    def copy(self, text: str, name: str) -> None:
        """Copy a text, and say by its name that it was copied."""
        self.app.copy_to_clipboard(text.encode(errors="replace").decode())  # half a character cannot be sent
        self.notify(f"{name} is copied, where the terminal allows it", markup=False)


Shown = TypeVar("Shown", bound=BoardScreen)


def while_shown(handler: Callable[Concatenate[Shown, Said], None]) -> Callable[Concatenate[Shown, Said], None]:
    """Have a handler do nothing once its screen is taken down: what a worker or a table says may come too late."""

    @wraps(handler)
    def handle(screen: Shown, /, *args: Said.args, **kwargs: Said.kwargs) -> None:
        if screen.is_laid_out:
            handler(screen, *args, **kwargs)

    return handle
