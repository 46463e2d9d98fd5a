"""Pictures of each screen of the story as SVG, the same on every machine that has these versions of the libraries."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from textual.worker import Worker

from agentmesh.tui.app import WatchApp
from tests.tui.apps import LARGE, SMALL, press, reads, settled, shown, until

MADE_WITH: Final = {"textual": "8.2.8", "rich": "15.0.0"}
"""The versions that drew the pictures; others may draw a line elsewhere."""

FOLDER: Final = Path(__file__).with_name("snapshots")
SIZES: Final = {"80x24": SMALL, "160x48": LARGE}
FONT: Final = re.compile(r"\s*@font-face\s*\{.*?\}", re.DOTALL)
CLIP: Final = re.compile(
    r'\s*<clipPath id="[^"]*-line-\d+">.*?</clipPath>| clip-path="url\(#[^"]*-line-\d+\)"', re.DOTALL
)
NAME: Final = re.compile(r"terminal-\d+")


@dataclass(frozen=True)
class Shot:
    """The keys that lead to a screen from the one before, and words that stand on it then."""

    keys: str
    words: Sequence[str]


SHOTS: Final = {
    "live": Shot("", ["4 ended, 3 under way"]),
    "decision": Shot("G k enter", ["would need", "drawn to explore"]),
    "timeline": Shot("l", ["they do not agree"]),
    "calls": Shot("l j", ["1066"]),
    "answer": Shot("l", ["left out, maths: outvoted"]),
    "context": Shot("l", ["names Hastings"]),
    "agents": Shot("3", ["Solves arithmetic and algebra."]),
    "routers": Shot("4", ["no router yet"]),
    "approvals": Shot("6", ["may poetry be called"]),
    "runs": Shot("2", ["7 runs, all states"]),
    "compare": Shot("m j c", ["they part at event 0"]),
    "help": Shot("question_mark", ["Everywhere", "Palette"]),
}
"""The pictures by their names, in the order in which they are taken."""


async def pictures(size: str) -> dict[str, str]:
    """Return all pictures of a size by their names, taken in one walk through the app."""
    found = {}
    async with shown(size=SIZES[size]) as (app, pilot):
        for name, shot in SHOTS.items():
            await press(pilot, *shot.keys.split())
            await reads(pilot, *shot.words)
            await until(pilot, lambda: not any(_brings_more(worker) for worker in app.workers))
            await settled(pilot)
            found[name] = _picture(app, name)
    return found


def _brings_more(worker: Worker[object]) -> bool:
    """Return whether a worker is still to bring something; that which follows the source never ends."""
    return worker.group != "source" and not worker.is_finished


def _picture(app: WatchApp, name: str) -> str:
    """Return what stands on the screen, without fonts from the network and the ends of lines."""
    return NAME.sub("terminal", CLIP.sub("", FONT.sub("", app.export_screenshot(title=name))))


def path(name: str, size: str) -> Path:
    """Return where a picture is kept."""
    return FOLDER / f"{name}-{size}.svg"
