"""What the pheromone router may be built with: kinds and ranges of its arguments."""

import json
from collections.abc import Mapping
from typing import Final

import numpy as np

from agentmesh.errors import ConfigError
from agentmesh.types import JsonValue

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "types": (0, 1000),
    "gate": (0.0, 1.0),
    "penalty": (0.0, 1.0),
    "half_life_days": (1e-9, np.inf),
    "smoothing": (1e-9, 1e9),
    "rate": (0.0, 2.0),
    "curiosity": (0.0, 1e9),
    "anneal": (0.0, 1e9),
    "drift": (0.0, 1e9),
    "load_weight": (0.0, 1e9),
    "alpha": (0.0, 1.0),
}


def checked_arguments(arguments: Mapping[str, object]) -> dict[str, JsonValue]:
    """Return a router's arguments as plain JSON values.

    Raises:
        ConfigError: one of them is of another kind, or out of its range.
    """
    try:
        plain: dict[str, JsonValue] = json.loads(json.dumps(arguments))
    except TypeError as error:
        raise ConfigError(f"of {arguments!r} one is neither number nor list ({error})") from error
    for name, (least, most) in _RANGES.items():
        value, whole = plain[name], name == "types"
        if (name, value) == ("alpha", None):
            continue
        if (
            isinstance(value, bool)
            or not isinstance(value, int if whole else int | float)
            or not least <= value <= most
        ):
            raise ConfigError(f"{name} is {value!r}; it must be a {'whole ' * whole}number from {least} to {most}")
    match plain["bounds"]:
        case [float(low), float(high)] if 0.0 < low < high < 1.0:
            pass
        case bounds:
            expected = "two rising numbers between 0 and 1, such as (0.02, 0.98)"
            raise ConfigError(f"bounds are {bounds!r}; they must be {expected}")
    if not isinstance(plain["specialists"], bool):
        raise ConfigError(f"specialists is {plain['specialists']!r}; it must be True or False")
    _check_stages(plain["stages"])
    return plain


def _check_stages(stages: JsonValue) -> None:
    listed = stages if isinstance(stages, list) else [stages]
    if listed is not stages or not all(_is_stage(stage) for stage in listed):
        raise ConfigError(f"stages are {stages!r}; they must be lists of agent ids, such as [['a', 'b'], ['c']]")


def _is_stage(stage: JsonValue) -> bool:
    return isinstance(stage, list) and bool(stage) and all(isinstance(agent_id, str) for agent_id in stage)
