"""The routing data of LLMRouter (ulab-uiuc): one line a query and model, and a file of the models.

The names are those of its data as of version 0.4; what a log does not know, such as the right answer, is null there.
"""

from typing import Annotated, Final

from pydantic import BeforeValidator, ConfigDict, Field

from agentmesh.records import Record
from agentmesh.types import JsonValue

TRAIN_FILE: Final = "default_routing_train_data.jsonl"
TEST_FILE: Final = "default_routing_test_data.jsonl"
MODELS_FILE: Final = "default_llm.json"
FILES: Final = (TRAIN_FILE, TEST_FILE, MODELS_FILE)


def _as_text(value: object) -> object:
    """Return a number or a truth value as text: right answers of sums stand there as such."""
    return str(value) if isinstance(value, int | float) else value


class RoutingLine(Record):
    """What one model did with one query. ``performance`` is 0 to 1; without it nothing is known."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    task_name: str | None = None
    query: str = Field(min_length=1)
    ground_truth: Annotated[str | None, BeforeValidator(_as_text)] = None
    metric: str | None = None
    choices: JsonValue = None
    task_id: Annotated[str | None, BeforeValidator(_as_text)] = None
    model_name: str = Field(min_length=1)
    response: str | None = None
    token_num: int | None = Field(default=None, ge=0)
    input_tokens: int | None = Field(default=None, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)
    response_time: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    api_key_used: str | None = ""
    performance: float | None = Field(ge=0, le=1, allow_inf_nan=False)
    embedding_id: int | None = None
    user_id: JsonValue = None
    fig_id: JsonValue = None


class ModelEntry(Record):
    """What the file of models says of one of them; prices are US dollars a million tokens."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    size: str | None = None
    feature: str = ""
    input_price: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    output_price: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    model: str | None = None
