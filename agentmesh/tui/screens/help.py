"""Help: what the keys of a screen do, and what its words mean."""

from typing import ClassVar, Final

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from agentmesh.tui.presenters import LEGEND

WORDS = (
    "A task comes in; the router gives every agent a score and chooses; the agents chosen answer; one answer is made.",
    *LEGEND,
    "p: the probability that the router draws this agent first",
    "would need: the expected quality with which an agent would have been chosen instead",
    "cost of best single: what all runs would have cost by the agent whose answers score best",
    "Each state has a mark: > under way, ? waits for a person, + completed, o nobody fits, x failed, "
    "$ over budget, / cancelled, ! orphaned: under way, and its process is gone.",
)


MOUSE: Final = ("        click  Select a row", " double click  Open it", "        wheel  Scroll")
UNTOLD: Final = frozenset({"help_quit", "scroll_left", "scroll_right", "page_left", "page_right"})
"""Actions of every app of the kind that are of no use here: nothing is wider than the screen."""

Keys = dict[str, list[str]]


class HelpScreen(ModalScreen[None]):
    """The keys of the screen below, and the words on it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "Close"),
        Binding("j,down", "scroll(1)", "Down", show=False),
        Binding("k,up", "scroll(-1)", "Up", show=False),
    ]

    def __init__(self, about: Screen[object]) -> None:
        super().__init__()
        self._about = about

    def compose(self) -> ComposeResult:
        """Lay out the lists."""
        here, moving, everywhere = self._keys()
        with VerticalScroll(id="help"):
            yield Static("Keys (escape closes this; j, k and the arrows scroll)", classes="title", markup=False)
            with Horizontal(classes="keys"):
                yield Static("\n".join(["This screen", *here, "", "Everywhere", *everywhere]), markup=False)
                yield Static("\n".join(["Moving", *moving, *MOUSE]), markup=False)
            yield Static("Words", classes="title", markup=False)
            yield Static("\n".join(WORDS), markup=False)

    def action_scroll(self, by: int) -> None:
        """Scroll by so many lines."""
        self.query_one("#help").scroll_relative(y=by, animate=False)

    def _keys(self) -> tuple[list[str], list[str], list[str]]:
        """Return the keys of the screen, those that move in it, and those that work everywhere."""
        seen: tuple[Keys, Keys, Keys] = ({}, {}, {})
        for active in self._about.active_bindings.values():
            binding = active.binding
            if binding.description and active.enabled and binding.action not in UNTOLD:
                moves = "focus" in binding.action or not isinstance(active.node, Screen | App)
                group = seen[1 if moves else 0 if isinstance(active.node, Screen) else 2]
                group.setdefault(binding.description.capitalize(), []).append(self.app.get_key_display(binding))
        here, moving, everywhere = ([_line(keys, what) for what, keys in group.items()] for group in seen)
        return here, moving, everywhere


def _line(keys: list[str], what: str) -> str:
    return f"{' '.join(dict.fromkeys(keys)):>13}  {what}"
