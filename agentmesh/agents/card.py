"""How a card is made from what an agent declares, and which ids can be used."""

import re

from pydantic import ValidationError

from agentmesh.errors import RegistrationError
from agentmesh.records import AgentCard
from agentmesh.types import AgentId

_ID_LIMIT = 200  # an id is a key in tables and a word in explanations; longer ones are text pasted by mistake


def make_card(*, id: object, description: object, **declared: object) -> AgentCard:
    """Build a card from what an agent declares.

    Raises:
        RegistrationError: a value cannot be used; the message names the agent, the field and the value.
    """
    check_id(id)
    if not isinstance(description, str) or not description.strip():
        raise RegistrationError(
            f"agent {id!r} has the description {description!r}; routers choose by it, so say what the agent does"
        )
    try:
        return AgentCard.model_validate({"id": id, "description": description, **declared})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = f"agent {id!r} declares {field} = {first['input']!r}, which cannot be used: {first['msg']}"
        raise RegistrationError(message) from error


def check_id(agent_id: object) -> AgentId:
    """Return ``agent_id`` if it can name an agent.

    Raises:
        RegistrationError: it is not text, empty, padded with blanks, too long, or holds characters that do not print.
    """
    accepted = f"an id is 1 to {_ID_LIMIT} printable characters without blanks at its ends"
    if not isinstance(agent_id, str):
        raise RegistrationError(f"the agent id {agent_id!r} is not text; {accepted}")
    if not agent_id or agent_id != agent_id.strip() or len(agent_id) > _ID_LIMIT or not agent_id.isprintable():
        shown = agent_id if len(agent_id) <= _ID_LIMIT else agent_id[:40] + "..."
        raise RegistrationError(f"the agent id {shown!r} ({len(agent_id)} characters) cannot be used; {accepted}")
    return agent_id


def snake_case(name: str) -> str:
    """Turn a class name into an id.

    >>> snake_case("WorldHistorian"), snake_case("SQLExpert2")
    ('world_historian', 'sql_expert2')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).strip("_").lower()
