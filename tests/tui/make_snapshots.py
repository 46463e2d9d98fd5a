"""Makes the pictures that ``test_snapshots`` compares with: look at what changed before you commit it.

python -m tests.tui.make_snapshots
"""

import asyncio
from importlib.metadata import version

from tests.tui.snapshots import FOLDER, MADE_WITH, SIZES, path, pictures


async def main() -> None:
    """Make all of them."""
    others = {name: version(name) for name, made in MADE_WITH.items() if version(name) != made}
    if others:
        raise SystemExit(f"the pictures are made with {MADE_WITH}, and here is {others}")
    FOLDER.mkdir(exist_ok=True)
    for size in SIZES:
        for name, drawn in (await pictures(size)).items():
            path(name, size).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
