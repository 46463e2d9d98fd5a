"""The keys that steer a run that is played: stand still, step, slower, faster, back and ahead."""

from typing import ClassVar, Final

from textual.binding import Binding, BindingType

from agentmesh.tui.board import Board
from agentmesh.tui.fitting import FittedApp
from agentmesh.tui.sources import PlayedSource
from agentmesh.tui.watching import Watched

SPEEDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0)
STEERING: Final = frozenset({"pause", "step", "slower", "faster", "seek"})
JUMPS: Final = 20
"""Into how many parts a jump divides a run that is played."""


class SteeredApp(FittedApp):
    """What steers the source of an app where that plays a stored run; elsewhere these keys do nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause", show=False),
        Binding("full_stop", "step", "Step", key_display=".", show=False),
        Binding("less_than_sign", "slower", "Slower", key_display="<", show=False),
        Binding("greater_than_sign", "faster", "Faster", key_display=">", show=False),
        Binding("left_square_bracket", "seek(-1)", "Back", key_display="[", show=False),
        Binding("right_square_bracket", "seek(1)", "Ahead", key_display="]", show=False),
    ]

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self.watched = watched

    @property
    def played(self) -> PlayedSource | None:
        """Return the source where it plays a stored run."""
        source = self.watched.source
        return source if isinstance(source, PlayedSource) else None

    def draw_soon(self) -> None:
        """Have the screen in front drawn again, though nothing came."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - as Textual has it
        """Offer what steers a run that is played only where one is."""
        return action not in STEERING or self.played is not None

    def action_pause(self) -> None:
        """Stand still, or go on."""
        if self.played is not None:
            self.played.pause(not self.played.paused)
            self.draw_soon()

    def action_step(self) -> None:
        """Play the next event, and stand still."""
        if self.played is not None:
            self.played.step()
            self.draw_soon()

    def action_slower(self) -> None:
        """Play slower."""
        self._change_speed(-1)

    def action_faster(self) -> None:
        """Play faster."""
        self._change_speed(1)

    def action_seek(self, by: int) -> None:
        """Jump ahead or back by a twentieth of the run: what was seen is told anew up to there."""
        if self.played is not None:
            place, length = self.played.position
            if self.played.seek(place + by * max(length // JUMPS, 1)):
                self.watched.board = Board()
            self.draw_soon()

    def _change_speed(self, by: int) -> None:
        source = self.played
        if source is not None:
            nearest = min(range(len(SPEEDS)), key=lambda place: abs(SPEEDS[place] - source.speed))
            source.set_speed(SPEEDS[min(max(nearest + by, 0), len(SPEEDS) - 1)])
            self.draw_soon()
