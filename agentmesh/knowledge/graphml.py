"""A knowledge graph as GraphML, for other programs to look at."""

import io
import re
from collections.abc import Mapping
from typing import Any, Final

import networkx

from agentmesh.knowledge.graph import KnowledgeGraph

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_graphml(graph: KnowledgeGraph) -> str:
    """Return nodes and edges as GraphML, without vectors; what XML cannot hold in a text becomes U+FFFD.

    The ids of nodes are ``n0``, ``n1``, ...; ``kind`` and ``name`` say which node it is.
    """
    plain = networkx.DiGraph()
    ids = {key: f"n{place}" for place, key in enumerate(graph.nx.nodes)}
    for (kind, name), attributes in graph.nx.nodes(data=True):
        plain.add_node(ids[kind, name], **_plain({**attributes, "kind": kind, "name": name}))
    for source, target, attributes in graph.nx.edges(data=True):
        plain.add_edge(ids[source], ids[target], **_plain({**attributes, "weight": float(attributes["weight"])}))
    written = io.BytesIO()
    networkx.write_graphml_xml(plain, written)
    return written.getvalue().decode("utf-8")


def _plain(attributes: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    return {
        name: _NO_XML.sub("\ufffd", value) if isinstance(value, str) else value
        for name, value in attributes.items()
        if isinstance(value, str | int | float)
    }
