"""Makes the pictures of the watcher that the README shows: the real app on the real demo, as SVG.

python tools/make_screens.py [--questions 120]
"""

import argparse
import asyncio
import re
import tempfile
from contextlib import chdir
from pathlib import Path

from textual.pilot import Pilot

from agentmesh.tui.demo import watch_demo

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screens"
SIZE = (100, 26)
FONT = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)
"""The picture names a font from the network; without it the reader's own is taken."""


async def pictures(pilot: Pilot[object], questions: int) -> None:
    """Wait until the demo is done, and take a picture of each screen."""
    await pilot.resize_terminal(*SIZE)
    app = pilot.app
    while app.watched.board.totals.worth.count < questions:  # type: ignore[attr-defined]  # the watcher
        await pilot.pause(0.1)
    await pilot.pause(1.0)
    save(pilot, "live")
    await pilot.press("j", "j", "enter")
    await pilot.pause(1.0)
    save(pilot, "run")
    await pilot.press("escape", "3")
    await pilot.pause(1.0)
    save(pilot, "agents")
    await pilot.press("q")


def save(pilot: Pilot[object], name: str) -> None:
    """Write what stands on the screen."""
    drawn = pilot.app.export_screenshot(title=f"agentmesh watch: {name}")
    (FOLDER / f"{name}.svg").write_text(FONT.sub("", drawn), encoding="utf-8")


def main() -> None:
    """Run the demo under the app."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=120)
    questions = parser.parse_args().questions
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):  # the picture shows the name of the database
        url = "sqlite:///demo.db"
        asyncio.run(watch_demo(url, limit=questions, pace_s=0.0, pilot=lambda pilot: pictures(pilot, questions)))


if __name__ == "__main__":
    main()
