"""Training rows as chats: what a reasoning router asks, and the reply that it should get."""

from agentmesh.learning.sft import SftRow
from agentmesh.protocols import ChatMessage
from agentmesh.records import AgentCard, Record
from agentmesh.routing.reasoning.legible import one_line
from agentmesh.routing.reasoning.parsing import REASON, parse
from agentmesh.routing.reasoning.prompt import prompt, wanted_reply


class ChatRow(Record):
    """One example as a chat: the rules, the material, and what the model should reply."""

    messages: tuple[ChatMessage, ...]


def chat_row(row: SftRow, *, most: int) -> ChatRow:
    """Return a row as the chat that a reasoning router would hold over it, the cards in the row's order.

    The reply is in the form that is asked for, and is understood without any repair.

    Args:
        row: The example.
        most: How many agents a reply may name; no fewer than the row does.
    """
    cards = [AgentCard(id=card.id, description=card.description, skills=card.skills) for card in row.cards]
    asked = prompt(row.task, row.turns, cards, most=most)
    return ChatRow(messages=(*asked, ChatMessage(role="assistant", content=_reply(row, most))))


def _reply(row: SftRow, most: int) -> str:
    reply = wanted_reply(one_line(row.reason, REASON), row.ids)
    if not parse(reply, asked=[card.id for card in row.cards], most=most).repairs:
        return reply
    # the reason speaks of none of the right agents, only of others, or there is none: then it names them first
    named = ", ".join(f"'{agent_id}'" for agent_id in row.ids)
    said = one_line(row.reason, REASON)
    return wanted_reply(f"This is for {named or 'none of them'}. {said}".rstrip(), row.ids)
