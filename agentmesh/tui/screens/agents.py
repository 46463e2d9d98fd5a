"""Agents: who there is, how they are, what they cost and what they are worth."""

from collections.abc import Mapping

from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Header, Static

from agentmesh.errors import AgentMeshError
from agentmesh.records import AgentCard
from agentmesh.tui.agent_presenters import AGENTS, LEGEND, agent_row, card_text, sorted_ids
from agentmesh.tui.board import Board
from agentmesh.tui.messages import CardsRead
from agentmesh.tui.screens.board_screen import BoardScreen, while_shown
from agentmesh.tui.tallies import AgentTally
from agentmesh.tui.widgets.key_bar import KeyBar
from agentmesh.tui.widgets.rows import Rows
from agentmesh.tui.widgets.words import Words
from agentmesh.types import AgentId


class AgentsScreen(BoardScreen):
    """All agents that are stored or were seen."""

    TITLE = "agentmesh agents"

    def __init__(self) -> None:
        super().__init__()
        self._cards: Mapping[AgentId, AgentCard] = {}

    def compose(self) -> ComposeResult:
        """Lay out table, card and legend."""
        yield Header()
        yield Rows(AGENTS, id="agents", empty="no agents yet")
        with VerticalScroll(classes="text"):
            yield Words(id="card")
        yield Static("\n".join(LEGEND), id="legend", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Read the cards; they are few, and change seldom."""
        self._read_cards()
        self.set_interval(5.0, self._read_cards)

    def show_board(self, board: Board, now: float) -> None:  # noqa: ARG002 - nothing here ages
        """Show the agents as they are now."""
        ids, chosen = sorted_ids(board.agents, self._cards), board.chosen
        self.query_one("#agents", Rows).show(
            ids,
            lambda number: agent_row(
                self._cards.get(ids[number]), board.agents.get(ids[number], AgentTally()), ids[number], chosen
            ),
        )
        self._show_card()

    @while_shown
    def on_cards_read(self, message: CardsRead) -> None:
        """Show the agents with their cards."""
        self._cards = {card.id: card for card in message.cards}
        self.draw()

    @while_shown
    def on_rows_moved(self) -> None:
        """Show the card of the agent under the cursor."""
        self._show_card()

    def _show_card(self) -> None:
        agent_id = self.query_one("#agents", Rows).key
        if agent_id is not None:
            tally = self.watched.board.agents.get(agent_id, AgentTally())
            self.query_one("#card", Words).show(card_text(self._cards.get(agent_id), tally))

    @work(thread=True, exclusive=True, group="cards")
    def _read_cards(self) -> None:
        """Read the newest card of every agent."""
        try:
            self.post_message(CardsRead(self.watched.store.latest_cards()))
        except AgentMeshError:
            return  # the source says so, and it is tried again
