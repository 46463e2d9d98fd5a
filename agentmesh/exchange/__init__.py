"""Stored traces out of a store and into another, as recorded sets, and routing data of other projects in and out."""

from agentmesh.exchange.exporting import Carried, Learned, export_runs
from agentmesh.exchange.importing import Taken, import_runs
from agentmesh.exchange.llmrouter_in import Converted, import_llmrouter
from agentmesh.exchange.llmrouter_out import export_llmrouter
from agentmesh.exchange.recorded_out import SetExported, export_set

__all__ = [
    "Carried",
    "Converted",
    "Learned",
    "SetExported",
    "Taken",
    "export_llmrouter",
    "export_runs",
    "export_set",
    "import_llmrouter",
    "import_runs",
]
