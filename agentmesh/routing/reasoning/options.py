"""A decision model in the place of a chat model: what it finds probable, said as a reasoning router wants it said."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Final

from pydantic import ValidationError

from agentmesh.errors import ConfigError, LlmError
from agentmesh.llm.pieces import split_pieces
from agentmesh.llm.prices import prices_of
from agentmesh.protocols import ChatRequest, ChatResponse, OptionModel, OptionRequest, OptionWeights
from agentmesh.routing.reasoning.read_back import read_back

TOLD: Final = 5
"""Of how many options the reason tells the probability: nobody wants to read twelve."""


class OptionChat:
    """Answers the questions of a reasoning router by a model that weighs options and writes nothing.

    The rule: with ``p(nobody) >= abstain`` the task is out of scope; else the most probable agent is named, and after
    it those with at least ``named`` times its probability, as many as may be. The reason tells the probabilities. To
    whom it is handed it is a chat client like any other: it is recorded, paid for, limited and replayed as one.

    Args:
        model: What weighs the options. It is closed with this client.
        abstain: From which probability of nobody on the task is out of scope; above 0, to 1.
        named: From which share of the best probability on another agent is named too; 0 to 1. At 1 only equals are.

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(self, model: OptionModel, *, abstain: float = 0.5, named: float = 0.25) -> None:
        if not 0.0 < abstain <= 1.0:
            raise ConfigError(f"abstain is {abstain!r}; expected a probability above 0, at most 1")
        if not 0.0 <= named <= 1.0:
            raise ConfigError(f"named is {named!r}; expected a share from 0 to 1")
        self._model = model
        self._abstain = abstain
        self._named = named

    @property
    def name(self) -> str:
        """Return the name of the model that weighs."""
        return self._model.name

    @property
    def price_in_per_m_usd(self) -> Decimal | None:
        """Return US dollars for a million tokens read, ``None`` if the model does not know."""
        return prices_of(self._model)[0]

    @property
    def price_out_per_m_usd(self) -> Decimal | None:
        """Return US dollars for a million tokens written, ``None`` if the model does not know."""
        return prices_of(self._model)[1]

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer once, whole.

        Raises:
            LlmError: the model failed, or weighed something else than the options.
            ConfigError: the request is no question of a reasoning router.
        """
        choice = read_back(request)
        weights = await self._weigh(choice.request)
        return ChatResponse(
            text=reply_text(weights, abstain=self._abstain, named=self._named, most=choice.most),
            model=weights.model or self.name,
            usage=weights.usage,
            cost_usd=weights.cost_usd,
            finish_reason="stop",
        )

    async def stream(self, request: ChatRequest) -> AsyncIterator[str | ChatResponse]:
        """Yield the answer word by word, then whole; there is none before all is weighed.

        Raises:
            LlmError: the model failed, or weighed something else than the options.
            ConfigError: the request is no question of a reasoning router.
        """
        response = await self.complete(request)
        for piece in split_pieces(response.text):
            yield piece
        yield response

    async def aclose(self) -> None:
        """Close the model."""
        await self._model.aclose()

    async def _weigh(self, request: OptionRequest) -> OptionWeights:
        try:
            weights = await self._model.weigh(request)
        except ValidationError as error:  # what a model found may be no probability
            raise LlmError(f"{self.name}: its weights cannot be used: {error}") from error
        unknown = sorted(weights.probabilities.keys() - {option.id for option in request.options})
        if unknown:
            raise LlmError(f"{self.name}: it weighed {unknown[:3]!r}; expected only options that it was asked about")
        return weights


def reply_text(weights: OptionWeights, *, abstain: float, named: float, most: int) -> str:
    """Return weights as the JSON text that a reasoning router asks for; ties go in the order of the ids.

    >>> weights = OptionWeights(probabilities={"coder": 0.2, "solver": 0.7}, none=0.1)
    >>> json.loads(reply_text(weights, abstain=0.5, named=0.25, most=3))["reason"]
    "p(nobody) = 0.10, p('solver') = 0.70, p('coder') = 0.20"
    >>> json.loads(reply_text(weights, abstain=0.5, named=0.5, most=3))["agents"]
    ['solver']
    """
    # what is impossible is not even told: an id that stands alone in the reason may be taken for a choice
    possible = [(agent_id, p) for agent_id, p in weights.probabilities.items() if p > 0.0]
    ranked = sorted(possible, key=lambda one: (-one[1], one[0]))
    out_of_scope = weights.none >= abstain
    agents = [agent_id for agent_id, p in ranked if p >= named * ranked[0][1]]
    told = [f"p(nobody) = {weights.none:.2f}", *(f"p({agent_id!r}) = {p:.2f}" for agent_id, p in ranked[:TOLD])]
    reply = {"reason": ", ".join(told), "agents": [] if out_of_scope else agents[:most], "out_of_scope": out_of_scope}
    return json.dumps(reply)
