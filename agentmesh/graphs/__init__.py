"""The workflow of a run: the only place that imports LangGraph."""
