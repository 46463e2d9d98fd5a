"""Workflows: stages that hand their answers on, each of them a task that is routed by itself."""
