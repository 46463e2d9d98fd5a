"""Help: what the keys of a screen do, and what its words mean."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
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
    "$ over budget, / cancelled.",
)


class HelpScreen(ModalScreen[None]):
    """The keys of the screen below, and the words on it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Close")]

    def __init__(self, about: Screen[object]) -> None:
        super().__init__()
        self._about = about

    def compose(self) -> ComposeResult:
        """Lay out the lists."""
        with VerticalScroll(id="help"):
            yield Static("Keys", classes="title", markup=False)
            yield Static("\n".join(self._keys()), markup=False)
            yield Static("Words", classes="title", markup=False)
            yield Static("\n".join(WORDS), markup=False)

    def _keys(self) -> list[str]:
        seen: dict[str, list[str]] = {}
        for active in self._about.active_bindings.values():
            binding = active.binding
            if binding.description:
                seen.setdefault(binding.description, []).append(self.app.get_key_display(binding))
        return [f"{', '.join(dict.fromkeys(keys)):>20}  {what}" for what, keys in seen.items()]
