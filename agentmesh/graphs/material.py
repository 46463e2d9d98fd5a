"""A context that is ready to be cut: the newest version of each key, in passages, with their words and their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agentmesh.graphs.overlap import Overlap
from agentmesh.graphs.passages import GAP, CountTokens, Span, passages
from agentmesh.records import ContextItem
from agentmesh.types import IndexArray


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What slices of one context are cut from; the order in which its items came has no effect.

    ``items`` are the newest version of each key, in order of the keys, and ``older`` what these stand above. ``tokens``
    are those of each whole item, ``full_tokens`` of the context as it came.

    Shapes:
        spans, texts: n passages. owner: (n,), the place of the item of each. costs: (n,), its tokens, with the mark
        that may stand beside it.
    """

    items: tuple[ContextItem, ...]
    older: tuple[ContextItem, ...]
    spans: tuple[Span, ...]
    texts: tuple[str, ...]
    owner: IndexArray
    costs: IndexArray
    tokens: tuple[int, ...]
    full_tokens: int
    count: CountTokens
    overlap: Overlap

    @classmethod
    def of(cls, context: Sequence[ContextItem], count: CountTokens) -> "Material":
        """Read a context."""
        ordered = sorted(context, key=_order)
        newest = {item.key: item for item in ordered}
        items, older = tuple(newest.values()), tuple(item for item in ordered if item is not newest[item.key])
        cut = [(place, span) for place, item in enumerate(items) for span in passages(item.text)]
        owner = np.array([place for place, _ in cut], dtype=np.int64)
        texts = tuple(items[place].text[start:end] for place, (start, end) in cut)
        parts = np.bincount(owner, minlength=len(items))
        costs = [count(text + GAP if parts[place] > 1 else text) for text, place in zip(texts, owner, strict=True)]
        tokens = tuple(count(item.text) for item in items)
        return cls(
            items=items,
            older=older,
            spans=tuple(span for _, span in cut),
            texts=texts,
            owner=owner,
            costs=np.array(costs, dtype=np.int64),
            tokens=tokens,
            full_tokens=sum(tokens) + sum(count(item.text) for item in older),
            count=count,
            overlap=Overlap(texts, [items[place].key for place, _ in cut]),
        )

    def fits(self, budget: int) -> bool:
        """Return whether the newest versions fit into ``budget`` tokens as they are."""
        return sum(self.tokens) <= budget


def _order(item: ContextItem) -> tuple[str, int, int, str, bool, str, str]:
    """Return what items are ordered by: all that they have, so that no two differ and stand as they came."""
    return item.key, item.version, item.number, item.text, item.pinned, item.stage, item.agent_id or ""
