"""Each screen looks as it did: compared exactly with pictures that ``make_snapshots`` made."""

from importlib.metadata import version

import pytest

from tests.tui.snapshots import FOLDER, MADE_WITH, SHOTS, SIZES, path, pictures

pytestmark = pytest.mark.skipif(
    any(version(name) != made for name, made in MADE_WITH.items()), reason=f"the pictures are made with {MADE_WITH}"
)


@pytest.mark.parametrize("size", SIZES)
async def test_each_screen_looks_as_it_did(size: str) -> None:
    taken = await pictures(size)
    assert list(taken) == list(SHOTS)
    assert [name for name, now in taken.items() if now != path(name, size).read_text(encoding="utf-8")] == []


def test_no_picture_is_left_over() -> None:
    assert {one.name for one in FOLDER.iterdir()} == {path(name, size).name for name in SHOTS for size in SIZES}
