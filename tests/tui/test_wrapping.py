"""Long texts: broken as Textual breaks them, selected and copied as it has them selected, and shown in no time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Offset
from textual.selection import Selection
from textual.style import Style
from textual.visual import RenderOptions

from agentmesh.tui.widgets.passage import Passage
from agentmesh.tui.wrapping import Wrapped
from tests.tui.apps import settled

TEXT = st.text(st.sampled_from("ab \n\t,.-日本é👍"), max_size=80)
SIZE = (40, 10)


def as_textual(text: str, width: int) -> list[str]:
    options = RenderOptions(lambda _: Style(), {}, None, None)
    return [strip.text.rstrip() for strip in Content(text).render_strips(width, None, Style(), options)]


@given(TEXT, st.integers(4, 30))
def test_a_text_is_broken_as_textual_breaks_it(text: str, width: int) -> None:
    wrapped = Wrapped(text, width)
    lines = [wrapped.line(number) for number in range(len(wrapped))]
    assert [line.rstrip() for line in lines] == as_textual(text, width)


class Reader(App[None]):
    """Shows one text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Passage(self.text, id="text")


@pytest.mark.parametrize(
    ("selection", "copied"),
    [
        (Selection(None, None), "one two\n" + "x" * 60 + "\nthe end"),
        (Selection(Offset(4, 0), Offset(50, 1)), "two\n" + "x" * 50),
        (Selection(Offset(45, 1), Offset(50, 1)), "xxxxx"),
    ],
)
async def test_what_is_selected_of_a_long_text_is_shown_so_and_copied(selection: Selection, copied: str) -> None:
    app = Reader("one two\n" + "x" * 60 + "\nthe end")
    async with app.run_test(size=SIZE) as pilot:
        passage = app.query_one(Passage)
        plain = [passage.render_line(y) for y in range(4)]
        app.screen.selections = {passage: selection}
        await settled(pilot)
        marked = [
            segment.text
            for y in range(4)
            for segment in passage.render_line(y)
            if segment.style.bgcolor != plain[y]._segments[0].style.bgcolor
        ]
        assert "".join(marked) == copied.replace("\n", "")
        assert app.screen.get_selected_text() == copied


async def test_of_a_text_of_very_many_lines_only_those_in_sight_are_drawn() -> None:
    app = Reader("\n".join(map(str, range(20_000))))
    async with app.run_test(size=SIZE) as pilot:
        drawn = set[int]()
        passage, box = app.query_one(Passage), app.query_one(VerticalScroll)
        draw = passage.render_line
        passage.render_line = lambda y: (drawn.add(y), draw(y))[1]
        assert (passage.size.height, box.max_scroll_y) == (20_000, 19_990)
        box.scroll_to(y=15_000, animate=False)
        await settled(pilot)
        assert drawn <= set(range(15_000, 15_010))
        assert passage.render_line(15_003).text == "15003"
        passage.show("short")
        await settled(pilot)
        assert (passage.size.height, passage.render_line(5).text.strip()) == (1, "")
