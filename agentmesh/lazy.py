"""Names that a module imports when they are first asked for, so that loading it loads nothing heavy (PEP 562)."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazily(module: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a module: it imports a name from its home, and keeps it in the module.

    >>> __getattr__ = lazily("agentmesh", {"Task": "records"})
    >>> __getattr__("Task")
    <class 'agentmesh.records.Task'>

    Args:
        module: The name of the module, which is being loaded.
        homes: Where each name comes from: a module below ``agentmesh``.
    """

    def attribute(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"agentmesh.{homes[name]}"), name)
        setattr(sys.modules[module], name, value)
        return value

    return attribute
