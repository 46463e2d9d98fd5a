"""What a router says of its training, in lines for people."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentmesh.routing.gnn.trained import TrainingCard
    from agentmesh.types import JsonValue

CHOSEN_ON = {"val": "the val tasks given", "tenth": "a tenth of the tasks", "nothing": "nothing"}


def told(training: "Mapping[str, JsonValue]") -> list[str]:
    """Return lines that say how a training went; one for each value where it is of a kind that is not known here.

    >>> told({"steps": 12})
    ['steps 12']
    """
    from pydantic import ValidationError

    from agentmesh.routing.gnn.trained import TrainingCard

    if not training:
        return []
    try:
        return list(_lines(TrainingCard.model_validate(training)))
    except ValidationError:
        return [f"{name} {value}" for name, value in training.items()]


def _lines(card: "TrainingCard") -> Iterator[str]:
    from agentmesh.routing.progress import lasting

    yield (
        f"{card.outcomes:,} outcomes of {card.agents} agents on {card.tasks:,} tasks; "
        f"{card.skills} skills, {card.entities} entities"
    )
    yield f"trained in {lasting(card.seconds)} on {card.device}, torch {card.torch}"
    yield f"pass {card.passes} of {len(card.loss) - 1} kept, chosen on {CHOSEN_ON.get(card.validated, card.validated)}"
    if card.validated != "nothing":
        yield f"loss there {card.loss[0]:.4f} before training, {card.loss[card.passes]:.4f} kept"
        yield f"quality of choosing there {card.quality[0]:.3f} before training, {card.quality[card.passes]:.3f} kept"
