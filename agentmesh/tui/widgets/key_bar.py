"""The keys of the screen in front, on one line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.binding import Binding
from textual.events import Click
from textual.screen import Screen
from textual.widget import Widget

_KEY, _WHAT = "key-bar--key", "key-bar--what"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a key does, or several of one kind do. ``keys`` are as they are shown, each with its name."""

    what: str
    keys: tuple[tuple[str, str], ...]
    everywhere: bool = False

    @property
    def width(self) -> int:
        """Return how many columns it takes, with the blank before and behind it."""
        return 3 + cell_len(self.what) + sum(cell_len(shown) for shown, _ in self.keys)


class KeyBar(Widget):
    """Names what each key does; a click on a key presses it.

    The keys of the screen stand first, those that work everywhere last. Where not all fit, those of the screen are left
    away from the last one on: ``?`` lists them.
    """

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; background: $panel; color: $foreground; }
    KeyBar > .key-bar--key { color: $accent; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {_KEY, _WHAT}
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._entries: Sequence[Entry] = ()
        self._places: list[tuple[int, int, str]] = []  # from column, to column, the key that is pressed there

    def on_mount(self) -> None:
        """Follow the keys of the screen, which change with what has the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._take)

    def render(self) -> Text:
        """Return the line, and note which key stands where."""
        line, self._places = Text(no_wrap=True, end=""), []
        key_style, what_style = self.get_component_rich_style(_KEY), self.get_component_rich_style(_WHAT)
        for entry in fitting(self._entries, self.size.width):
            line.append(" ")
            for shown, key in entry.keys:
                begin = line.cell_len
                line.append(shown, key_style)
                self._places.append((begin, line.cell_len, key))
            line.append(f" {entry.what} ", what_style)
            if len(entry.keys) == 1:
                self._places.append((begin, line.cell_len, key))
        return line

    def on_click(self, event: Click) -> None:
        """Press the key that was clicked."""
        found = next((key for begin, end, key in self._places if begin <= event.x < end), None)
        if found is not None:
            self.app.simulate_key(found)

    def _take(self, screen: Screen[object]) -> None:
        """Take the keys as they are now."""
        if not self.is_attached or screen is not self.screen:
            return
        shown = [one for one in screen.active_bindings.values() if one.binding.show and one.enabled]
        here = self._entered((one.binding for one in shown if one.node is not self.app), everywhere=False)
        entries = [*here, *self._entered((one.binding for one in shown if one.node is self.app), everywhere=True)]
        if entries != self._entries:
            self._entries = entries
            self.refresh()

    def _entered(self, bindings: Iterable[Binding], *, everywhere: bool) -> list[Entry]:
        """Return an entry for each action, by its first key; one for each group of them."""
        by_action: dict[str, Binding] = {}
        for binding in bindings:
            by_action.setdefault(binding.action, binding)
        found: list[Entry] = []
        for group, members in groupby(by_action.values(), lambda binding: binding.group):
            named = [(self.app.get_key_display(one), one.key, one.description) for one in members]
            if group is None:
                found += [Entry(what, ((shown, key),), everywhere) for shown, key, what in named]
            else:
                found.append(Entry(group.description, tuple((shown, key) for shown, key, _ in named), everywhere))
        return found


def fitting(entries: Sequence[Entry], width: int) -> list[Entry]:
    """Return the entries that fit into so many columns: those of the screen go first, from the last one on.

    >>> here = [Entry("Open", (("enter", "enter"),)), Entry("Find", (("/", "slash"),))]
    >>> entries = [*here, Entry("Quit", (("q", "q"),), everywhere=True)]
    >>> [entry.what for entry in fitting(entries, 80)], [entry.what for entry in fitting(entries, 24)]
    (['Open', 'Find', 'Quit'], ['Open', 'Quit'])
    """
    kept = list(entries)
    while len(kept) > 1 and sum(entry.width for entry in kept) > width:
        kept.remove(next((entry for entry in reversed(kept) if not entry.everywhere), kept[0]))
    return kept
